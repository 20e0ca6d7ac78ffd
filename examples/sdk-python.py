# The official openai SDK against Promptmill: upload, create, poll, download.
#
#   bin/promptmill serve --simulator                        # in one terminal
#   pip install openai && python examples/sdk-python.py     # in another
#
# OPENAI_BASE_URL names another server, OPENAI_API_KEY your key for it, and an argument another file in OpenAI's format.
import json
import os
import sys
import time
from pathlib import Path

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:3000/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "not needed on this machine"),
)

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("batch.jsonl")
file = client.files.create(file=path, purpose="batch")

# The SDK sends a request again when its answer is lost. The key keeps that from making a second batch.
batch = client.batches.create(
    input_file_id=file.id,
    endpoint="/v1/chat/completions",
    completion_window="24h",
    extra_headers={"Idempotency-Key": file.id},
)

while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(1)
    batch = client.batches.retrieve(batch.id)
    counts = batch.request_counts
    print(f"{batch.id} {batch.status}: {counts.completed + counts.failed}/{counts.total}", file=sys.stderr)
for error in batch.errors.data if batch.errors else []:
    print(f"line {error.line}: {error.message}", file=sys.stderr)


def download(file_id, name):
    """Streams a file of the server to the disk, since it may be larger than memory."""
    with client.files.with_streaming_response.content(file_id) as content:
        content.stream_to_file(name)
    return open(name, encoding="utf-8")


if batch.output_file_id:
    with download(batch.output_file_id, f"{batch.id}.output.jsonl") as output:
        for line in output:
            result = json.loads(line)
            print(f"{result['custom_id']}: {result['response']['body']['choices'][0]['message']['content']}")
if batch.error_file_id:
    with download(batch.error_file_id, f"{batch.id}.errors.jsonl") as errors:
        for line in errors:
            print(f"failed: {line}", end="", file=sys.stderr)
sys.exit(0 if batch.status == "completed" and not batch.error_file_id else 1)
