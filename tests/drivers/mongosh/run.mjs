// Types the lines of typed.txt into mongosh and compares what comes back. MONGOSH is the shell, SHEAFD_URI says where sheafd is.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const script = readFileSync(new URL("typed.txt", import.meta.url), "utf8");

/** `[{typed, expected: [line]}]` */
function read(text) {
  const steps = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    if (line.startsWith("> ")) steps.push({ typed: line.slice(2), expected: [] });
    else if (steps.length > 0) steps.at(-1).expected.push(line);
  }
  for (const step of steps) while (step.expected.at(-1) === "") step.expected.pop();
  return steps;
}

/** A pattern for the lines of an answer. */
function pattern(expected) {
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const lines = expected.map((line) =>
    line === "..." ? "(?:.*\\n)*?" : line.split("...").map(escape).join(".*") + "\\s*\\n",
  );
  return new RegExp(`^${lines.join("")}$`);
}

const steps = read(script);
const home = mkdtempSync(join(tmpdir(), "mongosh-"));
const shell = spawnSync(process.execPath, [process.env.MONGOSH, "--quiet", "--norc", process.env.SHEAFD_URI], {
  input: steps.map((step) => step.typed).join("\n") + "\n",
  encoding: "utf8",
  env: { ...process.env, HOME: home, NO_COLOR: "1" },
  timeout: 120_000,
});
rmSync(home, { recursive: true, force: true });

// Each answer stands behind a prompt, which is the name of the database, behind that of the replica set if there is one.
// Errors come with a return of the carriage in their first line.
const answers = (shell.stdout ?? "").replaceAll("\r", "").split(/^(?:(?:[\w-]+ \[\w+\] )?[\w-]+> )+/m).slice(1);
let failed = 0;
for (const [index, step] of steps.entries()) {
  const answer = `${(answers[index] ?? "nothing").trimEnd()}\n`;
  if (pattern(step.expected).test(answer)) {
    console.log(`--- PASS: mongosh/${step.typed}`);
  } else {
    failed += 1;
    console.log(`expected:\n${step.expected.join("\n")}\ngot:\n${answer}--- FAIL: mongosh/${step.typed}`);
  }
}
if (failed > 0) console.log(shell.error ?? shell.stderr);
process.exitCode = failed > 0 || steps.length < 30 ? 1 : 0;
