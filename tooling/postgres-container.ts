import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { Wait } from "testcontainers";

const DAY_MS = 86_400_000;

/**
 * A Postgres to start, without the health check that `PostgreSqlContainer` has Docker run four times a second for as
 * long as it lives. Each costs some 50 ms of a core; and one that takes over a second on a busy machine is killed as a
 * shell only: its orphan falls to process 1 of the container, the postmaster, which takes the orphan's end by SIGPIPE
 * for a crash of a process of its own and disconnects everyone (docker-library/postgres#1349).
 */
export function postgresContainer(image: string): PostgreSqlContainer {
  return new PostgreSqlContainer(image)
    .withHealthCheck({ test: ["CMD", "pg_isready"], interval: DAY_MS }) // its types know no "NONE"
    .withWaitStrategy(
      Wait.forAll([Wait.forSuccessfulCommand("pg_isready --host localhost"), Wait.forListeningPorts()]),
    );
}
