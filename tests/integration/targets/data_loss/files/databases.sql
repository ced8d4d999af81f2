-- A live database and an older state of it, with what makes comparing and saving hard.
SET foreign_key_checks = 0;
CREATE OR REPLACE DATABASE lastgood_shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE DATABASE lastgood_shop__side CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE OR REPLACE USER lastgood_shop@localhost IDENTIFIED BY 'a$HOME "b" \\c #d \'e\' é=;';
CREATE OR REPLACE USER lastgood_shop@127.0.0.1 IDENTIFIED BY 'a$HOME "b" \\c #d \'e\' é=;';
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@localhost;
GRANT ALL PRIVILEGES ON `lastgood\_shop`.* TO lastgood_shop@127.0.0.1;
