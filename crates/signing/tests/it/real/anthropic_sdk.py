"""Creates messages with two names of models, synchronously and asynchronously. The service sends empty responses."""
import asyncio

from anthropic import AnthropicBedrock, AnthropicError, AsyncAnthropicBedrock

MODELS = (
    "vendor.model-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model-v1:0",
)


def arguments(model):
    return {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "ümlaut"}]}


def create():
    client = AnthropicBedrock(max_retries=0)
    for model in MODELS:
        try:
            client.messages.create(**arguments(model))
        except (AnthropicError, ValueError):
            pass


async def create_async():
    client = AsyncAnthropicBedrock(max_retries=0)
    for model in MODELS:
        try:
            await client.messages.create(**arguments(model))
        except (AnthropicError, ValueError):
            pass


create()
asyncio.run(create_async())
