/**
 * What a caller may do with an agent, whatever binding and revision it comes by: send, stream, and
 * all that concerns tasks. Everything is checked against the caller: a task is its maker's alone.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { parseAllowRules } from "../../security/ssrf.ts";
import { sleep } from "../../std/clock.ts";
import { type Agent, type Execute, isOwn } from "./agent.ts";
import type { Agents, AgentsParts, Asker } from "./agents-contract.ts";
import { toCard, toGatewayCard } from "./card.ts";
import { cardKeysPath, createCardSigner } from "./card-signer.ts";
import { A2aError, toA2aError } from "./errors.ts";
import { assertAnswerable, createModelAgent } from "./model-agent.ts";
import { createPeers } from "./peer.ts";
import { assertPlace, createPlaces } from "./places.ts";
import { createPush } from "./push.ts";
import { recordMessage } from "./record.ts";
import { createRegistry } from "./registry.ts";
import { Run } from "./run.ts";
import { assertRunnable, createSkillAgent } from "./skill-agent.ts";
import { isOver, isQuiet } from "./state.ts";
import { statusOf } from "./status.ts";
import { createSweep } from "./sweep.ts";
import { createTasks, type HeldTask, taskLimits, withHistory } from "./tasks.ts";
import { createUpstreamAgent } from "./upstream-agent.ts";
import type { SendRequest, Task, TaskEvent, TaskStatus } from "./wire.ts";

/** How often a task that another process works at is looked at, for whoever listens to it here. */
const lookMs = 1_000;
/** Streams that are open at once, in one process: of all, and of one caller. */
const streamLimits = { all: 2_000, caller: 500 } as const;
/** What a question about a task may take upstream. */
const questionMs = 30_000;

export function createAgents(parts: AgentsParts): Agents {
  const { records, outbound, services, ask, skills, dataDir } = parts;
  const { clock, random, telemetry } = services();
  const settings = () => services().config.routeiq.a2a;
  const registry = createRegistry({ records, clock, configured: () => services().config.agents });
  const tasks = createTasks(records, clock, () => {
    const { taskTtlMs: ttlMs, maxTasks, maxTasksOfCaller } = settings();
    return { ttlMs, maxTasks, maxTasksOfCaller };
  });
  const push = createPush({ records, outbound, clock, random, telemetry });
  const upstream = createUpstreamAgent(createPeers(outbound, clock), clock);
  const signer = createCardSigner(dataDir, () => settings().cardKey);
  const skill = createSkillAgent(skills, clock);
  const executes: Record<Agent["serves"]["kind"], Execute> = {
    model: createModelAgent({ tasks, services, ask }),
    skill: skill.execute,
    upstream: upstream.execute,
  };
  /** Of each task the last message's. */
  const runs = new Map<string, Run>();
  /** Messages that wait for their answer; these and tasks that are followed after theirs. */
  const waiting = new Set<Run>();
  const living = new Set<Run>();
  const streams = createPlaces(streamLimits);
  const made = new Map<string, { minute: number; count: number }>();
  let closed = false;

  /** @throws A2aError rateLimited */
  function count({ id }: Agent): void {
    const { tasksPerMinute } = settings();
    const minute = Math.floor(clock.now() / 60_000);
    const held = made.get(id);
    const now = held?.minute === minute ? held : { minute, count: 0 };
    if (now.count >= tasksPerMinute) {
      const message = `This agent takes ${tasksPerMinute} new tasks a minute; try again in a while.`;
      throw new A2aError("rateLimited", message, {
        retryAfterMs: String(60_000 - (clock.now() % 60_000)),
      });
    }
    now.count++;
    made.set(id, now);
  }

  /** The task that a message is for: one that waits for it, or a new one. */
  async function toTask(request: SendRequest, { agent, caller }: Asker): Promise<HeldTask> {
    const { taskId, contextId } = request;
    const deadlineMs = clock.now() + settings().runMs;
    if (taskId === undefined) {
      count(agent);
      const id = Bun.randomUUIDv7();
      const context = contextId ?? Bun.randomUUIDv7();
      const message = { ...request.message, taskId: id, contextId: context };
      const status = statusOf("TASK_STATE_SUBMITTED", clock);
      const task: Task = { id, contextId: context, status, artifacts: [], history: [message] };
      return {
        task,
        agent: agent.id,
        owner: caller.id,
        moves: [],
        upstream: undefined,
        deadlineMs,
        updatedMs: clock.now(),
      };
    }
    const held = await tasks.get(taskId, agent.id, caller);
    if (contextId !== undefined && contextId !== held.task.contextId) {
      throw new A2aError("invalidParams", "'contextId' is not that of the task.");
    }
    if (isOver(held.task.status.state)) {
      throw new A2aError(
        "unsupportedOperation",
        "The task has ended and takes no more messages; begin another, with its contextId.",
      );
    }
    if (isOwn(agent) && (runs.has(taskId) || !isQuiet(held.task.status.state))) {
      throw new A2aError(
        "unsupportedOperation",
        "The task is at work; it takes messages when it asks for input.",
      );
    }
    const message = { ...request.message, taskId, contextId: held.task.contextId };
    const history = [...held.task.history, message].slice(-taskLimits.historyMessages);
    return { ...held, task: { ...held.task, history }, deadlineMs };
  }

  async function begin(request: SendRequest, asker: Asker, stream: boolean): Promise<Run> {
    const { agent, caller, extensions } = asker;
    if (closed || services().activity.draining) {
      throw new A2aError("internal", "The gateway is about to stop; send it again.");
    }
    if (agent.serves.kind === "model") assertAnswerable({ request });
    if (agent.serves.kind === "skill") assertRunnable(request);
    const { maxRunning, maxRunningOfCaller, runMs } = settings();
    assertPlace(waiting.size, maxRunning, "There are");
    const own = [...waiting].filter(({ owner }) => owner === caller.id).length;
    assertPlace(own, maxRunningOfCaller, "This key has");
    const held = await toTask(request, asker);
    const { id } = held.task;
    const isNew = request.taskId === undefined;
    if (request.push) await setConfig(id, request.push, asker);
    const startedAtMs = clock.now();
    const run: Run = new Run(
      { ...{ agent, caller, request, isNew, extensions, stream } },
      held,
      executes[agent.serves.kind],
      {
        ...{ tasks, clock, runMs },
        tell(task, event) {
          const last = runs.get(id);
          // Of a task that a further message goes on with, that message's own run tells.
          if (last === undefined || last === run) push.tell(task, event);
        },
        mayFollow: () => living.size - waiting.size < maxRunning,
        onFailure: (error) => services().onInternalFailure(error),
      },
    );
    runs.set(id, run);
    waiting.add(run);
    living.add(run);
    run.answered.then(() => {
      waiting.delete(run);
      const failed = run.failure !== undefined || run.task.status.state === "TASK_STATE_FAILED";
      recordMessage(
        {
          callId: isNew ? id : Bun.randomUUIDv7(),
          ...{ agent, caller, startedAtMs, outcome: failed ? "failure" : "success" },
          ...(failed
            ? { error: run.failure?.more["error"] ?? run.failure?.kind ?? "task_failed" }
            : {}),
        },
        services(),
      );
    });
    run.done.then(() => {
      living.delete(run);
      if (runs.get(id) === run) runs.delete(id);
    });
    return run;
  }

  const setConfig = (
    taskId: string,
    config: JsonObject,
    { caller, version }: Asker,
    status?: TaskStatus,
  ) => {
    const { allowCidrs, allowHosts } = services().config.routeiq.outbound;
    return push.set(taskId, config, {
      allow: parseAllowRules(allowCidrs, allowHosts),
      ...{ caller, version },
      ...(status ? { status } : {}),
      expiresMs: clock.now() + settings().taskTtlMs + settings().runMs,
    });
  };

  function snapshot(run: Run, historyLength: number | undefined): TaskEvent {
    if (run.message) return { message: run.message };
    return { task: withHistory(run.task, historyLength) };
  }

  async function known(id: string, { agent, caller }: Asker): Promise<HeldTask> {
    return tasks.get(id, agent.id, caller);
  }

  /** As the agent elsewhere has it, kept. */
  async function refreshed(
    held: HeldTask,
    { agent }: Pick<Asker, "agent">,
    question: "get" | "cancel",
  ): Promise<Task> {
    const { task, upstream: ids } = held;
    if (!ids) return task;
    const abort = new AbortController();
    const stop = clock.after(questionMs, () =>
      abort.abort(new A2aError("internal", "The agent does not answer.")),
    );
    try {
      const told = await upstream[question]({ agent, task, upstream: ids }, abort.signal);
      const history = told.history.length > 0 ? told.history : task.history;
      const artifacts = told.artifacts.length > 0 ? told.artifacts : task.artifacts;
      const fresh = { ...told, history, artifacts };
      await tasks.save({ ...held, task: fresh });
      return fresh;
    } finally {
      stop();
    }
  }

  const sweep = createSweep({
    ...{ tasks, push, clock },
    isLiving: (id) => runs.has(id),
    async refresh(held) {
      const agent = await registry.find(held.agent);
      return agent ? refreshed(held, { agent }, "get") : held.task;
    },
    onFailure: (error) => services().onInternalFailure(error),
  });

  return {
    registry,
    push,
    async send(request, asker) {
      const run = await begin(request, asker, false);
      await (request.returnImmediately ? run.begun : run.answered);
      if (run.failure) throw run.failure;
      return snapshot(run, request.historyLength);
    },
    async stream(request, asker) {
      if (!(await canStream(asker))) {
        throw new A2aError(
          "unsupportedOperation",
          "This agent does not stream; send the message instead.",
        );
      }
      streams.take(asker);
      return (await begin(request, asker, true)).listen(asker.left);
    },
    async get(id, historyLength, asker) {
      const held = await known(id, asker);
      const run = runs.get(id);
      if (run) return withHistory(run.task, historyLength);
      const stands = isOver(held.task.status.state) || !held.upstream;
      const task = stands ? held.task : await refreshed(held, asker, "get");
      return withHistory(task, historyLength);
    },
    list: (request, { agent, caller }) => tasks.list(agent.id, caller, request),
    async cancel(id, asker) {
      const held = await known(id, asker);
      if (isOver(held.task.status.state)) {
        throw new A2aError("taskNotCancelable", "The task has ended already.", { taskId: id });
      }
      const run = runs.get(id);
      if (held.upstream) {
        const task = await refreshed(held, asker, "cancel");
        // A stream of it that is under way ends by the agent's own word.
        if (!run) push.tell(task, { task });
        return task;
      }
      if (run) {
        await run.cancel();
        return run.task;
      }
      const ids = { taskId: id, contextId: held.task.contextId };
      const status = statusOf("TASK_STATE_CANCELED", clock);
      const task = { ...held.task, status };
      if (!(await tasks.save({ ...held, task }))) {
        throw new A2aError("taskNotCancelable", "The task has ended already.", { taskId: id });
      }
      push.tell(task, { statusUpdate: { ...ids, status } });
      return task;
    },
    async subscribe(id, asker) {
      const held = await known(id, asker);
      if (isOver(held.task.status.state)) {
        throw new A2aError("unsupportedOperation", "The task has ended; get it instead.", {
          taskId: id,
        });
      }
      streams.take(asker);
      const run = runs.get(id);
      if (run) return following({ task: run.task }, run.listen(asker.left));
      if (held.upstream) {
        return upstream.subscribe(
          { agent: asker.agent, task: held.task, upstream: held.upstream },
          AbortSignal.any([AbortSignal.timeout(settings().runMs), asker.left]),
        );
      }
      return watch(held, asker);
    },
    async assertTask(id, asker) {
      await known(id, asker);
    },
    async setPush(taskId, config, asker) {
      const { task } = await known(taskId, asker);
      return setConfig(taskId, config, asker, task.status);
    },
    async check(agent) {
      if (isOwn(agent)) return undefined;
      try {
        await upstream.card(agent);
        return undefined;
      } catch (thrown) {
        const error = toA2aError(thrown);
        if (error.kind !== "invalidAgentResponse") return error.message;
        const { message } = error;
        throw new GatewayError("invalid_request", `The agent's card is refused. ${message}`, {
          param: "url",
          cause: thrown,
        });
      }
    },
    async card(agent, site) {
      return toCard(agent, await saidOf(agent), site);
    },
    async signed(card, { form, baseUrl }) {
      const isFixed = settings().baseUrl !== undefined && form !== "0.3";
      return isFixed ? signer.sign(card, `${baseUrl}${cardKeysPath}`) : card;
    },
    cardKeys: signer.keys,
    gatewayCard: async (site) => toGatewayCard(await registry.list(), site),
    start: sweep.start,
    async close() {
      closed = true;
      await sweep.close();
      const all = [...living];
      for (const run of all) run.stop();
      await Promise.all(all.map(({ done }) => done));
      push.close();
      await push.settled();
    },
  };

  /** What it says of itself, where that is more than the configuration says. */
  async function saidOf(agent: Agent): Promise<JsonObject | undefined> {
    if (agent.serves.kind === "model") return undefined;
    return agent.serves.kind === "skill" ? skill.card(agent) : upstream.card(agent);
  }

  /** An agent whose card cannot be had has failed this message: that is written down as well. */
  async function canStream({ agent, caller }: Asker): Promise<boolean> {
    if (isOwn(agent)) return true;
    const startedAtMs = clock.now();
    const { capabilities } = await upstream.card(agent).catch((thrown: unknown) => {
      const error = toA2aError(thrown).kind;
      const end = { agent, caller, startedAtMs, outcome: "failure", error } as const;
      recordMessage({ callId: Bun.randomUUIDv7(), ...end }, services());
      throw thrown;
    });
    return (
      typeof capabilities === "object" &&
      capabilities !== null &&
      "streaming" in capabilities &&
      capabilities["streaming"] === true
    );
  }

  /** A task that another process works at, by its record. */
  async function* watch(held: HeldTask, asker: Asker): AsyncGenerator<TaskEvent> {
    const untilMs = clock.now() + settings().runMs;
    let { task } = held;
    yield { task };
    while (!isQuiet(task.status.state) && clock.now() < untilMs && !closed) {
      await sleep(clock, lookMs, asker.left);
      const { task: next } = await known(task.id, asker);
      if (
        next.status.timestamp !== task.status.timestamp ||
        next.status.state !== task.status.state
      )
        yield { task: next };
      task = next;
    }
  }
}

async function* following(
  first: TaskEvent,
  rest: AsyncIterable<TaskEvent>,
): AsyncGenerator<TaskEvent> {
  yield first;
  yield* rest;
}
