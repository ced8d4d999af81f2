-- What happened since.
SET NAMES utf8mb4;
SET SESSION time_zone = '+02:00';
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES';
INSERT INTO customers (id, name, settings, picture, balance, ratio, flags, made, seen) VALUES
  (4, '🦊 "fox"', '{"a": "\\u00e9\\n🦊"}', CONCAT(UNHEX('0027225C0A0D091AFFF09F'), REPEAT(UNHEX('FE00'), 20000)),
    12345678901234567890.0123456789, 16777216, b'100000000001', '0000-00-00 00:00:00', '2026-03-29 00:30:00.123456'),
  (5, 'NULL', 'null', '', NULL, 0.1, NULL, '2026-11-22 11:00:00', NULL),
  (6, 'tab\tline\nback\\slash \'quote\' \0 end', NULL, NULL, -0.0000000001, -1.5e-30, b'0', NULL, NULL),
  (0, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE customers SET name = 'anna' WHERE id = 1; -- the same to the collation
UPDATE customers SET picture = NULL WHERE id = 2; -- an empty text is not NULL
INSERT INTO orders VALUES (2001, 5, NULL, 0.10, '2026-11-22 11:00:00'), (2003, 4, NULL, 99999999.99, NULL),
  (2002, 4, 2003, 0.20, '2026-11-22 12:00:00');
UPDATE orders SET amount = amount + 1.5 WHERE id <= 10;
DELETE FROM orders WHERE id = 2000;
INSERT INTO `order``s "1;é` VALUES (2, 'b', 'new');
UPDATE `order``s "1;é` SET note = 'now' WHERE `or;der` = 1 AND `li``ne` = 'b';
DELETE FROM `order``s "1;é` WHERE `or;der` = 1 AND `li``ne` = 'a';
INSERT INTO log VALUES ('new', '2026-11-22 12:00:00'), ('when?', NULL);
UPDATE sessions SET payload = 'new';
INSERT INTO unkeyed VALUES ('c', 3);
DROP TABLE gone;
CREATE TABLE invoices (id INT PRIMARY KEY, pdf MEDIUMBLOB);
INSERT INTO invoices VALUES (1, REPEAT(UNHEX('00FF0A'), 1000000)), (2, NULL);
ALTER TABLE customers ADD COLUMN theme VARCHAR(20) NOT NULL DEFAULT 'light';
UPDATE customers SET theme = 'dark' WHERE id = 3;
