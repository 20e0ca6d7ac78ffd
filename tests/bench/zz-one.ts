const r = await fetch('http://127.0.0.1:3111/v1/chat/completions', {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-promptmill-timeout': '4' },
  body: JSON.stringify({ model: 'simulator/echo', messages: [{ role: 'user', content: 'hi' }] }),
});
console.log(r.status, await r.text());
