"""What the scripted models of the agents do: each sets the keys of its run, and reads its identity from AWS."""

RUNS = ["AAAA", "BBBB"]


def steps(run):
    keys = {"access_key_id": f"AKIA_{run}", "secret_access_key": f"secret_{run}"}
    return [
        ("set_aws_credentials_context", {"credentials_json": keys}),
        ("aws__get_caller_identity", {}),
    ]
