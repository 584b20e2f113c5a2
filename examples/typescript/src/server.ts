/** A mock for the tests: the one that VIRALSYNC_MOCK_URL names, or one that is started. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Mock {
  baseUrl: string;
  stop(): Promise<void>;
}

export interface MockOptions {
  /** The command that starts viralsync-mock; by default the one on the path, or what VIRALSYNC_MOCK_COMMAND names. */
  command?: string[];
  /** More options of `serve`. */
  options?: string[];
}

/** Start `viralsync-mock serve` on a free port, with a clock that jumps when everybody waits. */
export async function startMock({ command, options = [] }: MockOptions = {}): Promise<Mock> {
  const url = process.env.VIRALSYNC_MOCK_URL;
  if (url) return { baseUrl: url, stop: async () => {} };
  const [program, ...words] = command ?? (process.env.VIRALSYNC_MOCK_COMMAND ?? "viralsync-mock").split(" ");
  if (!program) throw new Error("command: expected a program, got an empty list");
  const child = spawn(program, [...words, "serve", "--port", "0", "--clock", "jump", ...options], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const baseUrl = await new Promise<string>((resolve, reject) => {
    child.once("error", (problem) => reject(new Error(`${program} cannot be started: ${problem.message}`)));
    child.once("exit", (code) => reject(new Error(`${program} serve ended with exit code ${code} before it was ready`)));
    createInterface(child.stdout).once("line", (line) => resolve(line.split(" ").at(-1) ?? ""));
  });
  return {
    baseUrl,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
