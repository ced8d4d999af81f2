-- Tables whose files are not like others. The full-text index must go, and the column that it left behind.
USE lastgood_shop;
SET foreign_key_checks = 0;
ALTER TABLE notes DROP KEY words;
ALTER TABLE notes FORCE, ALGORITHM = COPY;
SET foreign_key_checks = 1;
CREATE TABLE changed (id INT PRIMARY KEY, a INT);
INSERT INTO changed SELECT seq, seq FROM seq_1_to_1000;
ALTER TABLE changed ADD COLUMN b VARCHAR(20) DEFAULT 'x', ALGORITHM = INSTANT;
ALTER TABLE changed ADD COLUMN c INT FIRST, ALGORITHM = INSTANT;
ALTER TABLE changed DROP COLUMN a, ALGORITHM = INSTANT;
INSERT INTO changed (id, b) VALUES (5000, 'new');
CREATE TABLE places (id INT PRIMARY KEY, place POINT NOT NULL, SPATIAL KEY (place));
INSERT INTO places SELECT seq, POINT(seq, seq) FROM seq_1_to_500;
CREATE TABLE compressed (id INT PRIMARY KEY, note TEXT, KEY (note(20))) ROW_FORMAT = COMPRESSED;
INSERT INTO compressed SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_2000;
CREATE TABLE versioned (id INT PRIMARY KEY, state INT) WITH SYSTEM VERSIONING;
INSERT INTO versioned VALUES (1, 1);
UPDATE versioned SET state = 2;
CREATE TABLE unkeyed (a INT, b BLOB UNIQUE);
INSERT INTO unkeyed VALUES (1, 'a'), (2, 'b');
CREATE TABLE divided (id INT, part INT) PARTITION BY RANGE (part) SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION `p-0` VALUES LESS THAN (10), PARTITION P1 VALUES LESS THAN MAXVALUE);
INSERT INTO divided SELECT seq, seq % 20 FROM seq_1_to_1000;
CREATE TABLE typed (id UUID PRIMARY KEY, address INET6, data JSON, part INT AS (JSON_VALUE(data, '$.a')) VIRTUAL, KEY (part));
INSERT INTO typed (id, address, data) VALUES (UUID(), '::1', '{"a": 5}');
