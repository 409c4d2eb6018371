"""Run in an environment of its own: `helm_run.py lint|install CHART VALUES.json KUBECONFIG`.

`install` sends to the API server what `helm install` sends; its answer on standard output is JSON.
"""

import asyncio
import json
import sys

from helm_sdkpy import Configuration, HelmError, Install, Lint


def main(verb, chart, values, kubeconfig):
    configuration = Configuration(namespace="slipway", kubeconfig=kubeconfig)
    with open(values) as file:
        given = json.load(file)
    try:
        if verb == "lint":
            answer = asyncio.run(Lint(configuration).run(chart))
        else:
            answer = asyncio.run(
                Install(configuration).run("demo", chart, values=given, wait=False, timeout=60)
            )
    except HelmError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer, default=str))


main(*sys.argv[1:])
