"""`helm upgrade --install` and `helm uninstall`, as the docs write them, by Helm as a library; in its own environment.

`helm_cli.py upgrade --install NAME CHART -n NAMESPACE -f VALUES.json | uninstall NAME -n NAMESPACE`
"""

import argparse
import asyncio
import json
import os

from helm_sdkpy import Configuration, Uninstall, Upgrade


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["upgrade", "uninstall"])
    parser.add_argument("--install", action="store_true")
    parser.add_argument("name")
    parser.add_argument("chart", nargs="?")
    parser.add_argument("-n", dest="namespace", required=True)
    parser.add_argument("-f", dest="values")
    given = parser.parse_args()
    configuration = Configuration(namespace=given.namespace, kubeconfig=os.environ["KUBECONFIG"])
    if given.verb == "uninstall":
        asyncio.run(Uninstall(configuration).run(given.name, wait=False))
        return
    with open(given.values) as file:
        values = json.load(file)
    upgrade = Upgrade(configuration).run(
        given.name, given.chart, values, install=given.install, wait=False, timeout=120
    )
    asyncio.run(upgrade)


main()
