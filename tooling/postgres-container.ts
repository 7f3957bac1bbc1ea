import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { Wait } from "testcontainers";

const DAY_MS = 86_400_000;

/**
 * A Postgres container to start, without the health check of `PostgreSqlContainer`, which Docker runs four times a second
 * while the container lives. Each check costs about 50 ms of a core. On a busy machine one that takes over a second is
 * killed, but only its shell: the orphan is adopted by the container's process 1, the postmaster, which takes its end by
 * SIGPIPE for a crash of a backend and disconnects everyone (docker-library/postgres#1349).
 */
export function postgresContainer(image: string): PostgreSqlContainer {
  return new PostgreSqlContainer(image)
    .withHealthCheck({ test: ["CMD", "pg_isready"], interval: DAY_MS }) // its types know no "NONE"
    .withWaitStrategy(
      Wait.forAll([Wait.forSuccessfulCommand("pg_isready --host localhost"), Wait.forListeningPorts()]),
    );
}
