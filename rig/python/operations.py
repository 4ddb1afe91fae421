"""Prints the operations of AWS services whose requests name them by method and path, from botocore's service models.

A line is `METHOD /path/{}/{+}?key&key=value Operation [header]`: `{}` is a segment, `{+}` one or more. The keys are those
of the path template. Where operations have the same method and path, the query parameters and the header that an operation
requires are added, since they tell the operations apart.
"""
import collections
import re

import botocore
import botocore.loaders

loader = botocore.loaders.create_loader()


def request_line(operation):
    return operation["http"]["method"], operation["http"]["requestUri"]


def required(operation, shapes, location):
    """Returns the names of the required members in a part of the request."""
    shape = shapes[operation["input"]["shape"]] if "input" in operation else {}
    members = [shape["members"][name] for name in shape.get("required", [])]
    return sorted(member["locationName"] for member in members if member.get("location") == location)


print(f"# botocore {botocore.__version__}")
for service in sorted(loader.list_available_services("service-2")):
    model = loader.load_service_model(service, "service-2")
    if not model["metadata"]["protocol"].startswith("rest"):
        continue
    lines, by_path = [], collections.Counter()
    by_uri = collections.Counter(map(request_line, model["operations"].values()))
    for name, operation in model["operations"].items():
        # No request distinguishes them from others: the older name of an operation, and one that SDKs sign for
        # `s3express`, a service without a route.
        is_older = operation.get("deprecated") and by_uri[request_line(operation)] > 1
        if is_older or name == "ListDirectoryBuckets":
            continue
        template = re.sub(r"\{[^}+]*(\+?)\}", r"{\1}", operation["http"]["requestUri"])
        path, _, query = template.partition("?")
        lines.append((operation["http"]["method"], path, query, name))
        by_path[operation["http"]["method"], path] += 1
    print(f"[{service}]")
    for method, path, query, name in sorted(lines):
        operation = model["operations"][name]
        keys = query.split("&") if query else []
        headers = []
        if by_path[method, path] > 1:
            named = [key.split("=")[0] for key in keys]
            keys += [key for key in required(operation, model["shapes"], "querystring") if key not in named]
            headers = required(operation, model["shapes"], "header")[:1]
        uri = path + ("?" + "&".join(keys) if keys else "")
        print(" ".join([method, uri, name, *headers]))
