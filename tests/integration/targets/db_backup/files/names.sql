-- Databases whose names look like options, paths or SQL.
CREATE OR REPLACE DATABASE `--all-databases`;
CREATE TABLE `--all-databases`.found_it (id INT PRIMARY KEY);
CREATE OR REPLACE DATABASE `-x`;
CREATE TABLE `-x`.found_it (id INT PRIMARY KEY);
CREATE OR REPLACE DATABASE `../lastgood_etc`;
CREATE TABLE `../lastgood_etc`.found_it (id INT PRIMARY KEY);
CREATE OR REPLACE DATABASE `a``b'c"d`;
CREATE TABLE `a``b'c"d`.found_it (id INT PRIMARY KEY);
CREATE OR REPLACE DATABASE `x; DROP DATABASE lastgood_shop`;
CREATE TABLE `x; DROP DATABASE lastgood_shop`.found_it (id INT PRIMARY KEY);
CREATE OR REPLACE DATABASE `é $HOME`;
CREATE TABLE `é $HOME`.found_it (id INT PRIMARY KEY);
GRANT ALL PRIVILEGES ON *.* TO lastgood_shop@localhost;
