DROP DATABASE IF EXISTS `--all-databases`;
DROP DATABASE IF EXISTS `-x`;
DROP DATABASE IF EXISTS `../lastgood_etc`;
DROP DATABASE IF EXISTS `a``b'c"d`;
DROP DATABASE IF EXISTS `x; DROP DATABASE lastgood_shop`;
DROP DATABASE IF EXISTS `é $HOME`;
DROP DATABASE IF EXISTS lastgood_shop;
DROP DATABASE IF EXISTS lastgood_copy;
DROP USER IF EXISTS lastgood_shop@localhost, lastgood_shop@127.0.0.1, lastgood_weak@localhost;
