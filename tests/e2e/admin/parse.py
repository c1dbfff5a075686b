"""Reads a page or a file of rules from standard input with a parser that others wrote, and prints the names of its
samples, or the expressions of its rules."""

import sys

text = sys.stdin.buffer.read().decode()
kind = sys.argv[1]
if kind == "rules":
    import yaml

    for group in yaml.safe_load(text)["groups"]:
        for rule in group["rules"]:
            assert rule["alert"] and rule["labels"]["severity"] and rule["annotations"]["summary"], rule
            print(" ".join(rule["expr"].split()))
    sys.exit()
if kind == "openmetrics":
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
else:
    from prometheus_client.parser import text_string_to_metric_families
seen = set()
for family in text_string_to_metric_families(text):
    assert family.documentation, family.name
    assert family.type in ("counter", "gauge", "histogram"), family
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, key
        seen.add(key)
        assert sample.value >= 0, sample
print("\n".join(sorted({name for name, _ in seen})))
