-- The older state, for both databases.
SET NAMES utf8mb4;
SET SESSION time_zone = '+02:00';
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES';
CREATE TABLE customers (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(190) NOT NULL,
  upper_name VARCHAR(190) AS (UPPER(name)) VIRTUAL,
  settings JSON,
  picture BLOB,
  balance DECIMAL(30,10) NULL,
  ratio FLOAT,
  flags BIT(12),
  made DATETIME NULL,
  seen TIMESTAMP(6) NULL,
  UNIQUE KEY by_name (name),
  FULLTEXT KEY by_word (name)
);
CREATE TABLE orders (id INT UNSIGNED PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, parent_id INT UNSIGNED NULL,
  amount DECIMAL(12,2) NOT NULL, created_at DATETIME NULL, FOREIGN KEY (customer_id) REFERENCES customers (id),
  FOREIGN KEY (parent_id) REFERENCES orders (id));
CREATE TABLE `order``s "1;é` (`or;der` INT, `li``ne` VARCHAR(20), note TEXT, PRIMARY KEY (`or;der`, `li``ne`));
CREATE TABLE log (line VARCHAR(200), at TIMESTAMP NULL);
CREATE TABLE sessions (id VARCHAR(40) PRIMARY KEY, payload TEXT) PARTITION BY KEY (id) PARTITIONS 2;
CREATE TABLE unkeyed (code VARCHAR(10), value INT);
CREATE TABLE gone (id INT PRIMARY KEY);
CREATE VIEW totals AS SELECT customer_id, SUM(amount) AS total FROM orders GROUP BY customer_id;
INSERT INTO customers (id, name, picture, balance, ratio, flags, made, seen) VALUES
  (1, 'Anna', NULL, 0, 0.1, b'101', '2026-01-01 00:00:00', '2026-01-01 00:00:00.123456'), (2, 'Bert', '', NULL, NULL, NULL, NULL, NULL),
  (3, 'Carl', 'x', 10.5, NULL, NULL, NULL, NULL);
INSERT INTO orders SELECT seq, 1 + seq % 3, NULL, seq, '2026-11-01 00:00:00' FROM seq_1_to_2000;
INSERT INTO `order``s "1;é` VALUES (1, 'a', 'x'), (1, 'b', NULL), (2, 'a', 'y');
INSERT INTO log VALUES ('old', '2026-11-20 10:00:00');
INSERT INTO sessions VALUES ('s1', 'old');
INSERT INTO unkeyed VALUES ('a', 1), ('b', 2);
INSERT INTO gone VALUES (1), (2);
