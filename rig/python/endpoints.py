"""Prints the routing table of the signing proxy as JSON, from the service metadata that botocore publishes.

A host is written as a pattern, and only where it differs from the default pattern of its variant. The most specific
entry applies: region, then partition, then "*", then the default. `null` means that the service has no such endpoint.
With `--hosts`, prints every host that botocore resolves instead, for the test of the table.
"""
import collections
import json
import logging
import sys
from urllib.parse import urlsplit

import botocore
import botocore.loaders
from botocore.endpoint_provider import EndpointProvider

VARIANTS = {"standard": (False, False), "fips": (True, False), "dual": (False, True), "both": (True, True)}
DEFAULTS = {
    "standard": "{prefix}.{region}.{suffix}",
    "fips": "{prefix}-fips.{region}.{suffix}",
    "dual": "{prefix}.{region}.{dual}",
    "both": "{prefix}-fips.{region}.{dual}",
}

logging.disable(logging.CRITICAL)
loader = botocore.loaders.create_loader()
partitions = {}
rules_partitions = loader.load_data("partitions")
for entry in rules_partitions["partitions"]:
    outputs = entry["outputs"]
    partitions[entry["id"]] = {
        "suffix": outputs["dnsSuffix"],
        "dual": outputs["dualStackDnsSuffix"],
        "regions": sorted(name for name in entry["regions"] if not name.endswith("-global")),
    }


def static_parameters(model):
    """Returns the parameters that operations set, each with its most frequent value."""
    values = collections.defaultdict(collections.Counter)
    for operation in model["operations"].values():
        for name, parameter in operation.get("staticContextParams", {}).items():
            if isinstance(parameter["value"], str):
                values[name][parameter["value"]] += 1
    return {name: counted.most_common(1)[0][0] for name, counted in values.items()}


def resolve(provider, names, static, region, variant):
    """Returns (host, signing region, signing name), or None."""
    fips, dual = VARIANTS[variant]
    parameters = static | {"Region": region, "UseFIPS": fips, "UseDualStack": dual, "UseGlobalEndpoint": False}
    try:
        endpoint = provider.resolve_endpoint(**{key: value for key, value in parameters.items() if key in names})
    except Exception:
        return None
    url = urlsplit(endpoint.url)
    if url.scheme != "https" or url.path not in ("", "/") or url.query:
        return None
    schemes = [item for item in endpoint.properties.get("authSchemes", []) if item["name"] in ("sigv4", "sigv4-s3express")]
    scheme = schemes[0] if schemes else {}
    return url.netloc, scheme.get("signingRegion", region), scheme.get("signingName")


def pattern(host, region, partition, prefix):
    """Writes the host with its variable parts as names."""
    details = partitions[partition]
    for name in ("dual", "suffix"):
        if host.endswith("." + details[name]):
            host = host[: -len(details[name])] + "{" + name + "}"
            break
    labels = ["{region}" if label == region else label for label in host.split(".")]
    host = ".".join(labels)
    if host.startswith(prefix + "."):
        return "{prefix}" + host[len(prefix):]
    return "{prefix}-fips" + host[len(prefix) + 5:] if host.startswith(prefix + "-fips.") else host


def table_of(resolved, prefix, variant):
    """Returns the entries of one variant of a service."""
    entries = {}
    by_partition = {}
    global_partitions = {partition for (partition, region), found in resolved.items() if found and found[1] != region}
    for (partition, region), found in resolved.items():
        text = None
        if found:
            # A service with one signing region in the partition states it for that region as well.
            text = pattern(found[0], found[1], partition, prefix)
            if partition in global_partitions:
                text += " " + found[1]
        by_partition.setdefault(partition, {})[region] = text
    everywhere = collections.Counter(text for texts in by_partition.values() for text in texts.values())
    usual = everywhere.most_common(1)[0][0]
    if usual != DEFAULTS[variant]:
        entries["*"] = usual
    for partition, texts in by_partition.items():
        common = collections.Counter(texts.values()).most_common(1)[0][0]
        if common != usual:
            entries[partition] = common
        for region, text in texts.items():
            if text != common:
                entries[region] = text
    return entries


def host_prefixed(model):
    """Returns the operations whose host has a prefix, or is discovered by another request."""
    operations = model["operations"]
    named = sorted(
        name
        for name, shape in operations.items()
        if "hostPrefix" in shape.get("endpoint", {}) or shape.get("endpointdiscovery", {}).get("required")
    )
    return "*" if named and len(named) == len(operations) else named


def is_signed(metadata):
    version = metadata.get("signatureVersion", "")
    auth = metadata.get("auth") or []
    return version in ("v4", "s3", "s3v4") or any(item.startswith("aws.auth#sigv4") for item in auth)


services = {}
hosts = {}
for service in sorted(loader.list_available_services("service-2")):
    model = loader.load_service_model(service, "service-2")
    metadata = model["metadata"]
    if not is_signed(metadata):
        continue
    ruleset = loader.load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(ruleset, rules_partitions)
    names = set(ruleset["parameters"])
    static = {name: value for name, value in static_parameters(model).items() if ruleset["parameters"][name].get("required")}
    prefix = metadata["endpointPrefix"]
    signing_name = metadata.get("signingName", prefix)
    entry = {"id": metadata["serviceId"], "protocol": metadata["protocol"]}
    tables, other_names = {}, collections.Counter()
    for variant in VARIANTS:
        resolved = {
            (partition, region): resolve(provider, names, static, region, variant)
            for partition, details in partitions.items()
            for region in details["regions"]
        }
        other_names.update(found[2] for found in resolved.values() if found and found[2])
        hosts[service + " " + variant] = {region: found and found[:2] for (_, region), found in resolved.items()}
        table = table_of(resolved, prefix, variant)
        if table:
            tables[variant] = table
    if other_names:
        signing_name = other_names.most_common(1)[0][0]
        if len(other_names) > 1:
            print(service, "has signing names", dict(other_names), file=sys.stderr)
    if prefix != service:
        entry["prefix"] = prefix
    if signing_name != service:
        entry["signing_name"] = signing_name
    if metadata.get("targetPrefix"):
        entry["target"] = metadata["targetPrefix"]
    prefixed = host_prefixed(model)
    if prefixed:
        entry["host_prefixed"] = prefixed
    entry.update(tables)
    services[service] = entry

if "--hosts" in sys.argv:
    json.dump(hosts, sys.stdout)
else:
    def lines(items):
        return ",\n".join(json.dumps(key) + ": " + json.dumps(value, separators=(",", ":")) for key, value in items)

    print('{\n"source": "botocore %s",\n"partitions": {\n%s\n},\n"services": {\n%s\n}\n}' % (
        botocore.__version__, lines(partitions.items()), lines(services.items())))
