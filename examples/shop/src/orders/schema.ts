import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** The shop's own tables, made anew at every start, and so is its queue: it would take the first orders of this start for those of the one before. */
export const createTables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`drop schema if exists shop cascade`
  yield* sql`drop table if exists shop_queue, shop_queue_migrations`
  yield* sql`create schema shop`
  yield* sql`create table shop.products (id int primary key, name text not null, cents int not null)`
  yield* sql`create table shop.orders (id int generated always as identity primary key,
    product int not null references shop.products, quantity int not null, cents int not null, packed_at timestamptz)`
  yield* sql`insert into shop.products select n, 'product ' || n, 100 + n * 7 from generate_series(1, 50) n`
})
