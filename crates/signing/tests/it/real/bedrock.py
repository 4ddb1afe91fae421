import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MODELS = (
    "vendor.model-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model-v1:0",
)
config = Config(retries={"max_attempts": 1})
runtime = boto3.client("bedrock-runtime", config=config)
models = boto3.client("bedrock", config=config)
agents = boto3.client("bedrock-agent-runtime", config=config)
message = {"role": "user", "content": [{"text": "ümlaut"}]}


def outcome(call, **arguments):
    try:
        response = call(**arguments)
        return sorted(response)
    except (BotoCoreError, ClientError) as error:
        return type(error).__name__


print(json.dumps([
    *(outcome(runtime.invoke_model, modelId=model, body=b'{"x": 1}', accept="application/json") for model in MODELS),
    *(outcome(runtime.converse, modelId=model, messages=[message]) for model in MODELS),
    *(outcome(runtime.converse_stream, modelId=model, messages=[message]) for model in MODELS),
    outcome(models.get_foundation_model, modelIdentifier=MODELS[0]),
    outcome(models.list_foundation_models, byProvider="a vendor & more"),
    outcome(agents.retrieve, knowledgeBaseId="ABCDEFGHIJ", retrievalQuery={"text": "x"}),
]))
