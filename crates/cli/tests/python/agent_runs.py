"""What the scripted models of the agents do: they give the keys of their run, and read their identity from AWS."""

RUNS = ["AAAA", "BBBB"]


def steps(run):
    keys = {"access_key_id": f"AKIA_{run}", "secret_access_key": f"secret_{run}"}
    return [
        ("set_aws_credentials_context", {"credentials_json": keys}),
        ("aws__get_caller_identity", {}),
    ]
