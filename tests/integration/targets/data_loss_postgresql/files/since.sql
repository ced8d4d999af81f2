-- What happened since.
INSERT INTO customers (name, settings, picture, balance, ratio, mood, made, seen) VALUES
 ('🦊 "fox"', '{"a": "\u00e9\n🦊"}', '\x0027225c0a0d091afff09f', 12345678901234567890.0123456789, 16777216, 'happy', '0001-01-01', '2026-03-29 00:30:00.123456+00'),
 ('\N', 'null', '', NULL, 0.1, NULL, '2026-11-22 11:00:00', NULL), (E'tab\tline\nback\\slash ''quote'' \\. end', NULL, NULL, -0.0000000001, 'NaN', NULL, 'infinity', NULL),
 ('NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE customers SET name = 'anna' WHERE id = 1;
UPDATE customers SET picture = NULL WHERE id = 2;
INSERT INTO orders (customer_id, parent_id, amount, created_at) VALUES (5, NULL, 0.10, '2026-11-22 11:00:00+00'), (4, NULL, 0.20, '2026-11-22 12:00:00+00'), (4, 2001, 99.99, NULL);
UPDATE orders SET parent_id = 2003 WHERE id = 2002;
UPDATE orders SET amount = amount + 1.5 WHERE id <= 10;
DELETE FROM orders WHERE id = 2000;
INSERT INTO "order""s '1;é" VALUES (2, 'b', 'new');
UPDATE "order""s '1;é" SET note = 'now' WHERE "or;der" = 1 AND "li""ne" = 'b';
DELETE FROM "order""s '1;é" WHERE "or;der" = 1 AND "li""ne" = 'a';
INSERT INTO billing.invoices VALUES ('00000000-0000-0000-0000-000000000002', '{}', NULL);
INSERT INTO log VALUES ('new', '2026-11-22 12:00:00+00'), ('when?', NULL);
UPDATE sessions SET payload = 'new';
DROP TABLE gone;
CREATE TABLE added (id INT PRIMARY KEY, pdf BYTEA);
INSERT INTO added VALUES (1, decode(repeat('00ff0a', 100000), 'hex')), (2, NULL);
ALTER TABLE customers ADD COLUMN theme TEXT NOT NULL DEFAULT 'light';
UPDATE customers SET theme = 'dark' WHERE id = 3;
