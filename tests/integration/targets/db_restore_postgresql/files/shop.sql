-- A database with everything that makes a backup of it hard.
CREATE ROLE lastgood_owner LOGIN PASSWORD E'a$HOME "b" \\c:d #e \'f\' é';
CREATE ROLE lastgood_reader LOGIN PASSWORD 'reader';
CREATE ROLE "lastgood odd ""role""";
CREATE DATABASE lastgood_shop OWNER lastgood_owner TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' CONNECTION LIMIT 30;
COMMENT ON DATABASE lastgood_shop IS E'it''s the "shop" \\ é';
REVOKE ALL ON DATABASE lastgood_shop FROM PUBLIC;
GRANT CONNECT ON DATABASE lastgood_shop TO lastgood_reader WITH GRANT OPTION;
GRANT CONNECT, TEMPORARY ON DATABASE lastgood_shop TO "lastgood odd ""role""";
ALTER DATABASE lastgood_shop SET search_path TO public, "Odd schema", "$user";
ALTER DATABASE lastgood_shop SET default_transaction_read_only TO off;
ALTER DATABASE lastgood_shop SET lastgood.greeting TO E'it''s, "quoted" \\ é';
ALTER ROLE lastgood_reader IN DATABASE lastgood_shop SET statement_timeout TO '5s';
\connect lastgood_shop
GRANT CREATE ON DATABASE lastgood_shop TO lastgood_owner;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore;
ALTER SCHEMA public OWNER TO lastgood_owner;
SET SESSION AUTHORIZATION lastgood_owner;
CREATE SCHEMA "Odd schema";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy é');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mail text UNIQUE, mood mood DEFAULT 'ok', about hstore, secret bytea,
  length integer GENERATED ALWAYS AS (char_length(name)) STORED
);
INSERT INTO customers (name, mail, mood, about, secret) VALUES
  ('Anna "😀" ''é''', 'anna@example.test', 'happy é', 'a=>1, "b c"=>NULL', '\x00ff0a5c00'), (E'tab\t line\nfeed \\. \\N back\\slash', NULL, 'sad', NULL, '\x'),
  (E'\\.', 'dot@example.test', NULL, '', NULL), ('', '', 'ok', NULL, '\x0a');
CREATE TABLE orders (
  id serial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE, amount positive, placed timestamptz NOT NULL DEFAULT now(),
  EXCLUDE USING btree (id WITH =)
);
INSERT INTO orders (customer_id, amount) SELECT 1 + g % 4, 1 + g % 97 FROM generate_series(1, 20000) g;
CREATE INDEX orders_customer ON orders (customer_id) WHERE amount > 3;
CREATE INDEX customers_name ON customers USING gin (name gin_trgm_ops);
CREATE TABLE employees (id int PRIMARY KEY, boss int REFERENCES employees DEFERRABLE INITIALLY DEFERRED);
INSERT INTO employees VALUES (2, 1), (1, NULL);
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX ON events (at);
INSERT INTO events SELECT '2025-06-01'::date + g, 'event ' || g FROM generate_series(1, 500) g;
CREATE TABLE "select" ("from" int PRIMARY KEY, "a ""quoted"" name; DROP TABLE orders" text);
INSERT INTO "select" VALUES (1, 'x'), (2, 'COPY nothing FROM stdin;');
CREATE TABLE "Odd schema"."a.b ""é"" $HOME" (id int);
INSERT INTO "Odd schema"."a.b ""é"" $HOME" VALUES (1), (2), (3);
CREATE TABLE "Odd schema".nothing_in_it ();
CREATE TABLE left_account (id int PRIMARY KEY, amount bigint NOT NULL);
CREATE TABLE right_account (id int PRIMARY KEY, amount bigint NOT NULL);
INSERT INTO left_account SELECT g, 1000 FROM generate_series(1, 100) g;
INSERT INTO right_account SELECT g, 1000 FROM generate_series(1, 100) g;
CREATE TABLE old_rule (id int);
INSERT INTO old_rule VALUES (-1);
ALTER TABLE old_rule ADD CONSTRAINT old_rule_positive CHECK (id > 0) NOT VALID;
CREATE TABLE migrations (id serial PRIMARY KEY, migration text, batch int);
INSERT INTO migrations (migration, batch) VALUES ('2026_01_01_000000_create_customers', 1), ('2026_02_01_000000_create_orders', 2);
CREATE SEQUENCE tickets START 1000 INCREMENT 7;
SELECT nextval('tickets'), nextval('tickets');
CREATE VIEW rich AS SELECT c.name, sum(amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name;
CREATE VIEW very_rich AS SELECT * FROM rich WHERE total > 10;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) FROM orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer_id);
CREATE FUNCTION total(bigint) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM orders WHERE customer_id = $1';
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name; RETURN NEW; END $$;
CREATE TRIGGER remember BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION remember();
CREATE PROCEDURE move_money(times int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..times LOOP
    UPDATE left_account SET amount = amount - 1 WHERE id = 1 + i % 100;
    UPDATE right_account SET amount = amount + 1 WHERE id = 1 + i % 100;
    COMMIT;
  END LOOP;
END $$;
CREATE POLICY own ON customers USING (mail = current_user);
SELECT lo_create(4711), lo_put(4711, 0, '\x00010203'), lo_from_bytea(4712, repeat('large é', 20000)::bytea);
COMMENT ON LARGE OBJECT 4711 IS 'a picture';
GRANT SELECT ON customers TO lastgood_reader;
GRANT USAGE ON SCHEMA "Odd schema" TO "lastgood odd ""role""";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO lastgood_reader;
COMMENT ON COLUMN customers.name IS 'a name';
