/**
 * The migration as SQL, for hosts with their own migration tool (Django's RunSQL, Prisma, Flyway).
 */
import { migrationSql } from "langchain-training-index/migrations";

console.log(migrationSql({ trainings: { table: "oraculo_treinamento" }, idType: "integer" }));
