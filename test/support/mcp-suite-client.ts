/** The command that the conformance suite starts as a client: it hands the scenario to the test's gateway. */
const [control = "", url = ""] = process.argv.slice(2);
const response = await fetch(control, {
  method: "POST",
  body: JSON.stringify({
    url,
    scenario: process.env["MCP_CONFORMANCE_SCENARIO"],
    revision: process.env["MCP_CONFORMANCE_PROTOCOL_VERSION"],
    context: JSON.parse(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}"),
  }),
});
console.log(await response.text());
process.exit(response.ok ? 0 : 1);
