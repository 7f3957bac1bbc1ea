import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { NoticeTrace } from "langchain-training-index";
import { onTestFinished } from "vitest";

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

/** The names of the tracing channels, as docs/telemetry.md has them. */
export const TRACING_CHANNELS = ["search", "upsert", "embedding", "statement"].map(
  (name) => `langchain-training-index:${name}`,
);

/** What a channel has published. */
export interface Heard {
  event: (typeof EVENTS)[number];
  message: unknown;
}

/** A growing list of all that a tracing channel publishes until the test ends. */
export function subscribeAll(name: string): Heard[] {
  const heard: Heard[] = [];
  for (const event of EVENTS) {
    const listener = (message: unknown): void => void heard.push({ event, message });
    subscribe(`tracing:${name}:${event}`, listener);
    onTestFinished(() => void unsubscribe(`tracing:${name}:${event}`, listener));
  }
  return heard;
}

/** A growing list of all notices that are published until the test ends. */
export function subscribeNotices(): NoticeTrace[] {
  const notices: NoticeTrace[] = [];
  const listener = (message: unknown): void => void notices.push(message as NoticeTrace);
  subscribe("langchain-training-index:notice", listener);
  onTestFinished(() => void unsubscribe("langchain-training-index:notice", listener));
  return notices;
}
