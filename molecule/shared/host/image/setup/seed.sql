-- 1,000 organizations, 5,000 users, 20,000 sites; the same rows every time, with NULLs, quotes and 4-byte characters.
INSERT INTO organizations (id, name, slug, notes, created_at, updated_at)
SELECT seq,
       CONCAT(ELT(1 + seq % 8, 'Ålesund', 'O''Brien & Sons', 'Café "Zentral"', 'Rocket 🚀', '株式会社', 'Back\\slash', 'Plain', 'Ünal'), ' ', seq),
       CONCAT('org-', seq),
       CASE seq % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN CONCAT('line one\nline two; -- ', seq) ELSE 'ok 👍' END,
       '2024-01-15 08:00:00' + INTERVAL seq MINUTE,
       '2024-01-15 08:00:00' + INTERVAL seq HOUR
FROM seq_1_to_1000;

INSERT INTO users (id, organization_id, name, email, phone, password, created_at, updated_at)
SELECT seq,
       IF(seq % 17 = 0, NULL, 1 + seq % 1000),
       CONCAT(ELT(1 + seq % 7, 'Zoë', 'D''Arcy', 'Emoji 😀', 'Nguyễn', 'Quote "Q"', 'Иван', 'Smith'), ' ', seq),
       CONCAT('user', seq, '@example.test'),
       IF(seq % 3 = 0, NULL, CONCAT('+49 30 ', LPAD(seq, 6, '0'))),
       '$2y$04$eF8Yt0v5nSU2uO6RjX1GpOkF3LqzN2YbTgH0mQ1dW9cVxKZsA7BJu',
       '2024-02-01 00:00:00' + INTERVAL seq MINUTE,
       '2024-02-01 00:00:00' + INTERVAL seq HOUR
FROM seq_1_to_5000;

INSERT INTO sites (id, organization_id, user_id, domain, plan, title, settings, created_at, updated_at, deleted_at)
SELECT seq,
       1 + seq % 1000,
       IF(seq % 11 = 0, NULL, 1 + seq % 5000),
       CONCAT('site', seq, '.example.test'),
       CASE WHEN seq % 10 = 0 THEN 'business' WHEN seq % 10 = 5 THEN 'team' ELSE 'basic' END,
       IF(seq % 5 = 0, NULL, CONCAT('Title ', seq, ' ✨')),
       IF(seq % 6 = 0, NULL, JSON_OBJECT('php', '8.4', 'note', CONCAT('it''s "', seq, '"'))),
       '2024-03-01 00:00:00' + INTERVAL seq MINUTE,
       '2024-03-01 00:00:00' + INTERVAL seq HOUR,
       IF(seq % 50 = 0, '2025-05-05 05:05:05', NULL)
FROM seq_1_to_20000;
