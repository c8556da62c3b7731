"""The official Python SDKs with their usual settings against a gateway: argv[1] is its address.

Prints one JSON object: what each step found, or how it failed.
"""

import json
import sys

import anthropic
import openai

base = sys.argv[1]
found = {}
client = openai.OpenAI(base_url=f"{base}/v1", api_key="sk-x", max_retries=0)
claude = anthropic.Anthropic(base_url=base, api_key="sk-x", max_retries=0)
question = "What is the weather in Bergen?"
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def step(name):
    def run(work):
        try:
            found[name] = work()
        except Exception as error:  # told to the test, which fails on it
            found[name] = f"{type(error).__name__}: {error}"

    return run


for model in ("sim-coder", "sim-lyra"):
    ask = [{"role": "user", "content": "Write a Python function"}]

    @step(f"chat {model}")
    def _():
        reply = client.chat.completions.create(model=model, messages=ask)
        return [reply.choices[0].message.content, reply.usage.total_tokens > 0]

    @step(f"chat stream {model}")
    def _():
        options = {"include_usage": True}
        chunks = list(
            client.chat.completions.create(
                model=model, messages=ask, stream=True, stream_options=options
            )
        )
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        return [text, chunks[-1].usage.total_tokens > 0]

    @step(f"chat tools {model}")
    def _():
        tools = [
            {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
        ]
        messages = [{"role": "user", "content": question}]
        message = client.chat.completions.create(model=model, messages=messages, tools=tools)
        call = message.choices[0].message.tool_calls[0]
        messages.append(message.choices[0].message)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
        after = client.chat.completions.create(model=model, messages=messages, tools=tools)
        return [call.function.name, json.loads(call.function.arguments), "rain" in after.choices[0].message.content]

    @step(f"responses {model}")
    def _():
        reply = client.responses.create(model=model, input="Write a Python function")
        follow = client.responses.create(model=model, input="And?", previous_response_id=reply.id)
        return [reply.output_text, reply.status, follow.previous_response_id == reply.id]

    @step(f"responses stream {model}")
    def _():
        with client.responses.stream(model=model, input="Write a Python function") as stream:
            for _event in stream:
                pass
            return [stream.get_final_response().output_text, "completed"]

    @step(f"messages {model}")
    def _():
        reply = claude.messages.create(model=model, max_tokens=500, messages=ask)
        return [reply.content[0].text, reply.usage.output_tokens > 0]

    @step(f"messages stream {model}")
    def _():
        with claude.messages.stream(model=model, max_tokens=500, messages=ask) as stream:
            return ["".join(stream.text_stream), stream.get_final_message().stop_reason]

    @step(f"messages tools {model}")
    def _():
        tools = [{"name": "get_weather", "input_schema": parameters}]
        messages = [{"role": "user", "content": question}]
        reply = claude.messages.create(
            model=model, max_tokens=500, messages=messages, tools=tools
        )
        call = next(block for block in reply.content if block.type == "tool_use")
        messages.append({"role": "assistant", "content": reply.content})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
        messages.append({"role": "user", "content": [result]})
        after = claude.messages.create(
            model=model, max_tokens=500, messages=messages, tools=tools
        )
        return [call.name, call.input, "rain" in after.content[0].text]

    @step(f"count {model}")
    def _():
        return claude.messages.count_tokens(model=model, messages=ask).input_tokens > 0


@step("embeddings")
def _():
    reply = client.embeddings.create(model="sim-embed", input=["a", "b"])
    return [len(reply.data), len(reply.data[0].embedding) > 1]


@step("models")
def _():
    return "sim-lyra" in [model.id for model in client.models.list()]


@step("an unknown model, OpenAI")
def _():
    try:
        client.chat.completions.create(model="nope", messages=ask)
    except openai.BadRequestError as error:
        return [error.status_code, error.code is not None]


@step("an unknown model, Anthropic")
def _():
    try:
        claude.messages.create(model="nope", max_tokens=5, messages=ask)
    except anthropic.NotFoundError as error:
        return [error.status_code, error.body["type"]]


print(json.dumps(found))
