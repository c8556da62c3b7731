/** What stands in the interpreter before a skill's program: in Python, for it is the interpreter's. */

/** `run(entry, input, ask)` → JSON: `{output}` or `{error}`. `ask(url, options)` is JavaScript's, or None. */
export const prelude = `
def __routeiq():
    import asyncio, importlib.util, inspect, json, os, random, sys, traceback, types

    async def run(entry, text, ask):
        random.seed()
        if ask is not None:
            sys.modules["routeiq"] = client(ask)
        os.makedirs("/skill", exist_ok=True)
        os.chdir("/skill")
        sys.path.insert(0, "/skill")
        try:
            spec = importlib.util.spec_from_file_location("__skill__", "/skill/" + entry)
            module = importlib.util.module_from_spec(spec)
            sys.modules["__skill__"] = module
            spec.loader.exec_module(module)
            main = getattr(module, "main", None)
            if not callable(main):
                return json.dumps({"error": "The skill's program has no function main(input) to call."})
            answer = main(json.loads(text))
            if inspect.isawaitable(answer):
                answer = await answer
            return json.dumps({"output": json.dumps(answer, allow_nan=False)})
        except BaseException as error:
            return json.dumps({"error": told(error)})

    def told(error):
        lines = traceback.format_exception_only(error)
        said = lines[-1].strip()
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("/skill/")]
        if frames:
            said += " (" + frames[-1].filename[7:] + ", line " + str(frames[-1].lineno) + ")"
        return said[:500]

    def client(ask):
        class Response:
            def __init__(self, status, headers, body):
                self.status, self.headers, self.text = status, headers, body
            def json(self):
                return json.loads(self.text)
        async def request(url, method="GET", headers=None, body=None):
            options = {"method": method, "headers": headers or {}}
            if body is not None:
                options["body"] = body if isinstance(body, str) else json.dumps(body)
            answer = json.loads(await ask(str(url), json.dumps(options)))
            if "error" in answer:
                raise OSError(answer["error"])
            return Response(answer["status"], answer["headers"], answer["body"])
        module = types.ModuleType("routeiq", "What a skill may ask of the gateway.")
        module.fetch, module.Response = request, Response
        return module

    return run
__routeiq_run = __routeiq()
del __routeiq
`;

/** Loaded before the memory is kept, so that no run waits for them. */
export const warmUp =
  "import asyncio, collections, dataclasses, datetime, functools, importlib.util, inspect, itertools, json, math, os, random, re, statistics, string, sys, traceback, types, typing";
