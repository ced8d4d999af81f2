-- The older state, for both databases.
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE SCHEMA billing;
CREATE TABLE customers (id SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE, upper_name TEXT GENERATED ALWAYS AS (upper(name)) STORED,
  settings JSON, picture BYTEA, balance NUMERIC(30,10), ratio REAL, mood mood, made TIMESTAMP, seen TIMESTAMPTZ);
CREATE TABLE orders (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id INT NOT NULL REFERENCES customers, parent_id BIGINT REFERENCES orders,
  amount NUMERIC(12,2) NOT NULL, created_at TIMESTAMPTZ);
CREATE TABLE "order""s '1;é" ("or;der" INT, "li""ne" VARCHAR(20), note TEXT, PRIMARY KEY ("or;der", "li""ne"));
CREATE TABLE billing.invoices (id UUID PRIMARY KEY, tags TEXT[], at DATE);
CREATE TABLE log (line TEXT, at TIMESTAMPTZ);
CREATE TABLE sessions (id VARCHAR(40) PRIMARY KEY, payload TEXT);
CREATE TABLE gone (id INT PRIMARY KEY);
CREATE VIEW totals AS SELECT SUM(amount) FROM orders;
INSERT INTO customers (id, name, picture, balance, ratio, mood, made, seen) VALUES (1, 'Anna', NULL, 0, 0.1, 'sad', '2026-01-01', '2026-01-01 00:00:00.123456+02'),
 (2, 'Bert', '', NULL, NULL, NULL, NULL, NULL), (3, 'Carl', 'x', 10.5, NULL, NULL, NULL, NULL);
SELECT setval('customers_id_seq', 3);
INSERT INTO orders (customer_id, amount, created_at) SELECT 1 + n % 3, n, '2026-11-01' FROM generate_series(1, 2000) n;
INSERT INTO "order""s '1;é" VALUES (1, 'a', 'x'), (1, 'b', NULL), (2, 'a', 'y');
INSERT INTO billing.invoices VALUES ('00000000-0000-0000-0000-000000000001', '{a,NULL,"b c"}', '2026-01-01');
INSERT INTO log VALUES ('old', '2026-11-20 10:00:00+00');
INSERT INTO sessions VALUES ('s1', 'old');
INSERT INTO gone VALUES (1), (2);
