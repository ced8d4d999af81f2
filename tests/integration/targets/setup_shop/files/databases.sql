-- A live database and an older state of it.
SET foreign_key_checks = 0; -- a database that a broken test left may be replaced
CREATE OR REPLACE DATABASE lastgood_shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE DATABASE lastgood_shop__side CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE USER lastgood_shop@localhost IDENTIFIED BY 'shop';
CREATE OR REPLACE USER lastgood_shop@127.0.0.1 IDENTIFIED BY 'shop';
CREATE OR REPLACE USER lastgood_admin@localhost IDENTIFIED BY 's3cret\'"\\';
CREATE OR REPLACE USER lastgood_admin@127.0.0.1 IDENTIFIED BY 's3cret\'"\\';
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@localhost;
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@127.0.0.1;
GRANT ALL PRIVILEGES ON `lastgood\_shop%`.* TO lastgood_admin@localhost;
GRANT ALL PRIVILEGES ON `lastgood\_shop%`.* TO lastgood_admin@127.0.0.1;
