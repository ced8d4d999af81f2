-- What a restore can lose or damage, beyond what a dump can.
CREATE OR REPLACE USER lastgood_owner@localhost;
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_owner@localhost;
CREATE OR REPLACE USER lastgood_admin@localhost IDENTIFIED BY 'a d\'m"in';
CREATE OR REPLACE USER lastgood_admin@127.0.0.1 IDENTIFIED BY 'a d\'m"in';
GRANT ALL PRIVILEGES ON *.* TO lastgood_admin@localhost;
GRANT ALL PRIVILEGES ON *.* TO lastgood_admin@127.0.0.1;
CREATE OR REPLACE USER lastgood_narrow@localhost IDENTIFIED BY 'narrow';
GRANT ALL PRIVILEGES ON `lastgood\_shop%`.* TO lastgood_narrow@localhost;

USE lastgood_shop;
SET sql_mode = '';
CREATE TABLE `--x` (`select` INT PRIMARY KEY, `from``where` VARCHAR(20), UNIQUE KEY `or der` (`from``where`));
INSERT INTO `--x` VALUES (1, 'a\\b'), (2, NULL);
CREATE TABLE `a'b"c; DROP TABLE orders` (id INT PRIMARY KEY);
INSERT INTO `a'b"c; DROP TABLE orders` VALUES (1);
CREATE TABLE UPPER_Case (Id INT PRIMARY KEY, `GROUP` DATE, seen DATETIME);
INSERT INTO UPPER_Case VALUES (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2026-02-00', NULL);
CREATE TABLE readings (id INT AUTO_INCREMENT, at DATE NOT NULL, value DOUBLE, PRIMARY KEY (id, at), KEY by_value (value), KEY by_day (at, value DESC))
  PARTITION BY RANGE (YEAR(at)) (PARTITION old VALUES LESS THAN (2026), PARTITION new VALUES LESS THAN MAXVALUE);
INSERT INTO readings (at, value) SELECT '2025-06-01' + INTERVAL seq DAY, seq / 7 FROM seq_1_to_500;
CREATE TABLE tree (id INT PRIMARY KEY, parent INT, CONSTRAINT grows FOREIGN KEY (parent) REFERENCES tree (id));
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2);
CREATE TABLE chicken (id INT PRIMARY KEY, egg INT, KEY (egg));
CREATE TABLE egg (id INT PRIMARY KEY, chicken INT, FOREIGN KEY (chicken) REFERENCES chicken (id));
INSERT INTO chicken VALUES (1, 1);
INSERT INTO egg VALUES (1, 1);
ALTER TABLE chicken ADD CONSTRAINT `hatched from` FOREIGN KEY (egg) REFERENCES egg (id) ON DELETE SET NULL;
-- long enough to be dumped in pieces and to get its indexes afterwards; with gaps in its key, and below zero
CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, code BINARY(16) NOT NULL, author INT UNSIGNED, note TEXT, mark CHAR(8) AS (LEFT(note, 8)) VIRTUAL,
  UNIQUE KEY by_code (code), KEY by_author (author, note(10)) COMMENT 'it''s, an index', KEY by_mark (mark), FULLTEXT KEY words (note),
  CONSTRAINT written FOREIGN KEY (author) REFERENCES customers (id) ON DELETE CASCADE);
INSERT INTO notes (id, code, author, note) SELECT CAST(seq AS SIGNED) * 3 - 50000, UNHEX(MD5(seq)), 1 + seq % 4, CONCAT('note 🦊 ', seq, REPEAT(' and more', 120)) FROM seq_1_to_18000;
UPDATE notes SET note = CONCAT('changed ', note) WHERE id % 5 = 0;
ANALYZE TABLE notes, orders;

CREATE DEFINER = lastgood_owner@localhost SQL SECURITY INVOKER VIEW `view of --x` AS SELECT `select` AS `a``b` FROM `--x`;
DELIMITER //
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'//
CREATE DEFINER = lastgood_owner@localhost TRIGGER "tree's" AFTER INSERT ON tree FOR EACH ROW SET @grown = 'x' || "new"."id"//
CREATE TRIGGER second_tree AFTER INSERT ON tree FOR EACH ROW FOLLOWS "tree's" SET @grown = @grown || 'y'//
SET sql_mode = ''//
CREATE DEFINER = lastgood_owner@localhost PROCEDURE `it's`() SQL SECURITY INVOKER COMMENT 'with -- a comment'
BEGIN /* kept */ SELECT 'line
break', 1; -- kept too
END//
SET NAMES latin1//
CREATE FUNCTION in_latin() RETURNS VARCHAR(20) CHARACTER SET utf8mb4 RETURN 'caf_'//
SET NAMES utf8mb4//
SET time_zone = '+03:00'//
CREATE EVENT `never; ENABLE` ON SCHEDULE EVERY '1:30' DAY_HOUR STARTS '2035-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE COMMENT 'it''s ENABLE DO'
  DO BEGIN SELECT ' ON COMPLETION PRESERVE ENABLE DO'; END//
DELIMITER ;
