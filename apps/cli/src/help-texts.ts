export const overview = `
Try it, without a key and without a server:
  promptmill run examples/prompts.txt --model simulator/echo -o results.jsonl

The same against a provider:
  XAI_API_KEY=… promptmill run prompts.txt --model xai/grok-4.3 -o results.jsonl

With a server, for many batches and many workers (PROMPTMILL_URL and PROMPTMILL_API_KEY name it):
  promptmill serve
  id=$(promptmill submit batch.jsonl) && promptmill watch "$id" && promptmill results "$id" -o results.jsonl

When something is wrong, doctor says what, and what to do:
  promptmill doctor --provider xai
`;

export const initHelp = `
Keys are never written into the file: they stay in the environment. Nothing needs the file: a provider's key is enough.
  promptmill init --provider xai ollama
`;

export const completionHelp = `
  bash, in ~/.bashrc:                  eval "$(promptmill completion bash)"
  zsh, in ~/.zshrc after compinit:     source <(promptmill completion zsh)
  fish:                                promptmill completion fish > ~/.config/fish/completions/promptmill.fish
`;

export const filesHelp = `
They read what run reads: .txt, .jsonl, .json, .csv, .tsv and .parquet, each also with .gz, or - for standard input. A file
is checked to its end before anything is written. Rows may be written as another kind of table, or as .jsonl.
  promptmill files sample reviews.csv -n 20 --seed 7 -o few.csv
  promptmill files split prompts.jsonl --lines 50000 -o parts        parts/prompts.part-0001.jsonl …
  promptmill files merge parts/*.jsonl -o prompts.jsonl
  promptmill files diff old.jsonl new.jsonl                          exit code 1 when they differ
`;

export const keysHelp = `
They work on the file store and the Redis that the environment names, as the api does: run them where its data folder or
its variables are. Every api sees a change within a second. Once a key was created, an api without a key in its
environment is closed to callers without a key, also after that key was revoked.
  key=$(promptmill keys create --tenant ada --expires 30d --note 'CI')
  promptmill keys revoke pm_0123456789ab
`;

export const runHelp = `
INPUT is a .txt file with one prompt a line, a .jsonl file, a .json file with an array of the same, or a table (.csv, .tsv,
.parquet) whose rows --prompt makes into prompts. Each may be gzipped; - is standard input, which --format csv makes a
table. A JSON line or element is one of
  {"prompt": "…"}  {"messages": […]}        each may have a custom_id and a model of its own
  {"custom_id": "…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}      OpenAI's batch format
In --prompt and --system {{column}} stands for the row's value; a line of .txt is the column text. What data holds is
never a template. A text that begins with @ is the name of a file, with @@ a text with one @.
With --schema every answer is checked against a JSON Schema. One that does not match is asked for once more, with what is
wrong with it in the conversation; if that does not match either, the row's error says so (schema_mismatch).
A folder stands for its files, in the order of their names: all are checked before the first is run, -o names a folder
(default: <folder>.results) that gets the results of each, and --max-cost holds for all together. What lies in folders
below, hidden files and files with another ending are left out, and named.

The results are in the input's order, each in the place of its line or row. The file appears at the end, complete.
  .jsonl               OpenAI's lines
  .csv .tsv .parquet   the input's columns, then answer, error, model, input_tokens, output_tokens, cost_usd (answer_2
                       where the input has an answer; no cost where the price is unknown); a cell that a spreadsheet
                       would run begins with '. With --schema the schema's properties take the place of answer
  .txt .md             the answers alone, the place of a failed one empty; --answers prints them
Work in progress and finished runs are kept in the data folder; remove it when no run has to carry on.
After a stop or a crash the same command carries on, and pays for no recorded answer twice. So it does with a higher
--max-cost after a run that reached it: no call begins whose expected cost, with those of all calls in flight, is beyond it.
Until it goes on, the output has the results so far, and in the place of the others the error cost_limit.
On a terminal it asks before a run whose estimate is above --confirm-above, when that run begins. Where no answers are known
yet, the most that --max-tokens allows decides; without --max-tokens only the input's price is known.
With --dedupe prompts that are the same are called once, and each gets a copy of the answer. That needs --temperature 0 or
--param seed=1; embeddings and moderations need neither.
With --tier flex requests go to the cheaper tier of their provider (OpenAI and Groq have one; for others say flex: {} in
promptmill.yaml), and as many step up to the standard tier as are needed to end within --completion-window.
With --retry-failed it runs again what failed, and puts the new results into their places in the same file.

  promptmill run prompts.txt -m xai/grok-4.3 --system 'Answer in one sentence.' --max-tokens 200 --concurrency 20
  promptmill run reviews.csv -m xai/grok-4.3 --prompt 'Positive or negative? {{review}}' --id id -o rated.csv
  promptmill run reviews.csv -m xai/grok-4.3 --prompt @rate.txt --params '{"top_p": 0.9}' --sample 20 --dry-run
  promptmill run reviews.csv -m openai/gpt-6-luna --prompt 'Rate: {{review}}' --schema @rating.json -o rated.csv
  promptmill run prompts/ -m xai/grok-4.3 -o answers/                  answers/a.results.jsonl …
  promptmill run photos.parquet -m openai/gpt-6-luna --prompt 'What is this?' --image file -o named.parquet
  promptmill run texts.tsv -m openai/text-embedding-3-small --endpoint embeddings --prompt '{{text}}'
  promptmill run scenes.txt -m openai/gpt-image-2 --endpoint images --param size=1024x1024 -o images.jsonl
  grep -v '^#' prompts.txt | promptmill run - -m openai/gpt-6-luna --answers

Exit code: 0 when every request has an answer, 1 when any has none or the input is wrong, 2 for a wrong command line,
130 after Ctrl-C.
`;

export const serveHelp = `
It listens on 127.0.0.1:3000 (HOST, PORT), and starts a Redis of its own unless REDIS_URL names one.
Logs go to standard output, files and Redis's data to ./data (PROMPTMILL_DATA_DIR).
  PORT=8080 promptmill serve
  promptmill serve --simulator
`;

export const submitHelp = `
It prints only the batch's id to standard output:
  id=$(promptmill submit prompts.txt -m xai/grok-4.3)
  promptmill submit batch.jsonl --watch
With --max-cost it pauses before it costs more; promptmill resume batch_… --max-cost 10 lets it go on.
--confirm-above compares what the server expects, which knows its earlier answers; without a yes the file that was sent is
deleted.
With --cache 7d it takes answers of your earlier batches with --cache in place of calls that ask the same (as --dedupe).
With --tier flex requests begin in the cheaper tier, as with run; the server must know one of each model.
Inputs and --prompt are those of run. The server keeps the requests that come of them, not the input's columns.
`;

export const resultsHelp = `
  promptmill results batch_… -o results.jsonl            after the batch has ended: in input order
  promptmill results batch_… -o results.jsonl --follow   waits until it has ended
  promptmill results batch_… -o results.csv              custom_id, answer, error, model, tokens and cost_usd: what the
                                                         columns of the input were, only run knows; --id column
                                                         tells rows apart. With check_schema: the properties of the
                                                         first request's schema, then the whole answer
  promptmill results batch_… --answers                   the answers alone
  promptmill results batch_… --follow | jq .custom_id    while it runs: in the order they come (rarely, one comes twice)
`;

export const retryHelp = `
  promptmill retry batch_…                                    all requests that failed or never ran
  promptmill retry batch_… --error-code 503 request_timeout   those that failed with these codes
  promptmill watch $(promptmill retry batch_… --custom-id a b)
The results of the new batch are its own: those of the batch that it retries stay as they are.
`;
