-- Users and a log of what they did: a dump of one gigabyte, in which names repeat and hashes, tokens and UUIDs do not.
CREATE OR REPLACE DATABASE lastgood_bench CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE USER lastgood_bench@localhost IDENTIFIED BY 'bench';
GRANT ALL PRIVILEGES ON lastgood_bench.* TO lastgood_bench@localhost;
USE lastgood_bench;

CREATE TABLE users (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  email VARCHAR(255) NOT NULL UNIQUE,
  password VARCHAR(255) NOT NULL,
  remember_token VARCHAR(100),
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL
);
INSERT INTO users SELECT
  seq,
  CONCAT(
    ELT(1 + FLOOR(RAND(1) * 8), 'Anna', 'Bert', 'Carla', 'Dieter', 'Eva', 'Frank', 'Gita', 'Hans'), ' ',
    ELT(1 + FLOOR(RAND(2) * 8), 'Jansen', 'Meyer', 'Silva', 'Kowalski', 'Novak', 'Rossi', 'Dupont', 'Okafor')),
  CONCAT('user', seq, '@example.test'),
  CONCAT('$2y$12$', LEFT(TO_BASE64(UNHEX(SHA2(seq, 512))), 53)),
  LEFT(MD5(RAND(3)), 30),
  '2026-01-01' + INTERVAL FLOOR(RAND(4) * 20000000) SECOND,
  '2026-06-01' + INTERVAL FLOOR(RAND(5) * 10000000) SECOND
FROM seq_1_to_:users;

CREATE TABLE activity (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  user_id BIGINT UNSIGNED NOT NULL,
  action VARCHAR(100) NOT NULL,
  ip VARCHAR(45),
  agent VARCHAR(255),
  properties LONGTEXT NOT NULL,
  created_at TIMESTAMP NULL,
  KEY (user_id)
);
INSERT INTO activity SELECT
  seq,
  1 + FLOOR(RAND(1) * :users),
  ELT(1 + FLOOR(RAND(2) * 6), 'login', 'logout', 'site.created', 'site.updated', 'backup.finished', 'invoice.paid'),
  CONCAT_WS('.', 10, FLOOR(RAND(3) * 255), FLOOR(RAND(4) * 255), FLOOR(RAND(5) * 255)),
  ELT(1 + FLOOR(RAND(6) * 4),
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1',
    'curl/8.10.1'),
  JSON_OBJECT(
    'site', CONCAT('site-', FLOOR(RAND(7) * 50000), '.example.test'),
    'duration_ms', FLOOR(RAND(8) * 100000),
    'request', UUID(),
    'bytes', FLOOR(RAND(9) * 1000000000),
    'note', CONCAT_WS(' ',
      ELT(1 + FLOOR(RAND(10) * 8), 'the', 'backup', 'of', 'every', 'table', 'took', 'longer', 'than'),
      ELT(1 + FLOOR(RAND(11) * 8), 'expected', 'because', 'disk', 'network', 'certificate', 'renewed', 'queue', 'worker'),
      ELT(1 + FLOOR(RAND(12) * 8), 'failed', 'passed', 'waiting', 'retried', 'customer', 'invoice', 'domain', 'mailbox'))),
  '2026-01-01' + INTERVAL FLOOR(RAND(13) * 25000000) SECOND
FROM seq_1_to_:activities;
