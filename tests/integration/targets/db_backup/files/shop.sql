-- A database with everything that a careless dump loses or damages.
SET foreign_key_checks = 0; -- a database that a broken test left may be replaced
CREATE OR REPLACE DATABASE lastgood_shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE DATABASE lastgood_copy CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE USER lastgood_shop@localhost IDENTIFIED BY 'a$HOME "b" \\c #d \'e\' é=;';
CREATE OR REPLACE USER lastgood_shop@127.0.0.1 IDENTIFIED BY 'a$HOME "b" \\c #d \'e\' é=;';
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@localhost;
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@127.0.0.1;

SET foreign_key_checks = 1;
USE lastgood_shop;
CREATE TABLE migrations (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, migration VARCHAR(255) NOT NULL, batch INT NOT NULL);
INSERT INTO migrations (migration, batch) VALUES ('2026_01_01_000000_create_customers', 1), ('2026_02_01_000000_create_orders', 2);

CREATE TABLE customers (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL DEFAULT 'né 🦊' COMMENT 'with "quotes" and ''more''',
  upper_name VARCHAR(255) AS (UPPER(name)) VIRTUAL,
  length_of_name INT AS (CHAR_LENGTH(name)) STORED,
  settings JSON,
  picture BLOB,
  balance DECIMAL(12,2) NULL,
  seen TIMESTAMP(6) NULL,
  UNIQUE KEY by_name (name)
);
INSERT INTO customers (name, settings, picture, balance, seen) VALUES
  ('🦊 fox', '{"a": "(1),\\n(2)"}', UNHEX('0027225C0A0D1AFFF09F'), -1.50, '2026-03-29 00:30:00.123456'),
  ('line\nfeed and\ttab and \\ and ''quote''', NULL, '', NULL, NULL),
  ('(3, looks like a row)', 'null', REPEAT(UNHEX('FE00'), 20000), 0, '2038-01-01 00:00:00'),
  ('Ünïcödé 漢字', '{}', NULL, 99999999.99, NOW(6));

CREATE TABLE orders (id INT UNSIGNED PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, amount INT NOT NULL DEFAULT 0,
  FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE);
INSERT INTO orders SELECT seq, 1 + seq % 4, seq FROM seq_1_to_20000;

CREATE TABLE `odd ``name`` é` (`strange; column` INT PRIMARY KEY);
INSERT INTO `odd ``name`` é` VALUES (1), (2), (3);
CREATE TABLE nothing_in_it (id INT PRIMARY KEY);
CREATE SEQUENCE invoice_numbers START WITH 4711;

CREATE TABLE left_account (id INT PRIMARY KEY, amount INT NOT NULL);
CREATE TABLE right_account (id INT PRIMARY KEY, amount INT NOT NULL);
INSERT INTO left_account SELECT seq, 1000 FROM seq_1_to_100;
INSERT INTO right_account SELECT seq, 1000 FROM seq_1_to_100;

CREATE VIEW order_totals AS SELECT customers.name, SUM(orders.amount) AS total FROM customers JOIN orders ON orders.customer_id = customers.id GROUP BY customers.name;
CREATE VIEW big_totals AS SELECT * FROM order_totals WHERE total > 1;

DELIMITER //
CREATE TRIGGER orders_are_positive BEFORE INSERT ON orders FOR EACH ROW
BEGIN
  SET @seen := CONCAT('
(1, not a row),
(2, not a row either)
-- Dumping data for table `fake`
');
  IF NEW.amount < 0 THEN SET NEW.amount = 0; END IF;
END//
CREATE FUNCTION doubled(number INT) RETURNS INT DETERMINISTIC RETURN number * 2//
CREATE PROCEDURE move_money(rounds INT)
BEGIN
  WHILE rounds > 0 DO
    START TRANSACTION;
    UPDATE left_account SET amount = amount - 1 WHERE id = 1 + rounds % 100;
    UPDATE right_account SET amount = amount + 1 WHERE id = 1 + rounds % 100;
    COMMIT;
    SET rounds = rounds - 1;
  END WHILE;
END//
CREATE EVENT tidy_up ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO BEGIN DELETE FROM nothing_in_it; END//
DELIMITER ;
