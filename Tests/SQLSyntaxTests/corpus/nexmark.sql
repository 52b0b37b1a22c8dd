-- The queries of Nexmark in this dialect.
CREATE TABLE person (id int8, name text, email_address text, credit_card text, city text, state text, date_time timestamptz, extra text)
  WITH (connector = 'kafka', topic = 'nexmark-person', format = 'json', event_time = 'date_time', lateness = '4 s');
CREATE TABLE auction (id int8, item_name text, description text, initial_bid int8, reserve int8, date_time timestamptz, expires timestamptz, seller int8, category int8, extra text)
  WITH (connector = 'kafka', topic = 'nexmark-auction', format = 'json', event_time = 'date_time', lateness = '4 s');
CREATE TABLE bid (auction int8, bidder int8, price int8, channel text, url text, date_time timestamptz, extra text)
  WITH (connector = 'kafka', topic = 'nexmark-bid', format = 'json', event_time = 'date_time', lateness = '4 s');
CREATE TABLE side_input (key int8, value text) WITH (connector = 'sqlite', url = 'side.db', "table" = 'side_input', mode = 'lookup');
CREATE MATERIALIZED VIEW q0 AS SELECT auction, bidder, price, date_time, extra FROM bid;
CREATE MATERIALIZED VIEW q1 AS SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid;
CREATE MATERIALIZED VIEW q2 AS SELECT auction, price FROM bid WHERE mod(auction, 123) = 0;
CREATE MATERIALIZED VIEW q3 AS
  SELECT p.name, p.city, p.state, a.id FROM auction AS a INNER JOIN person AS p ON a.seller = p.id
  WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA');
CREATE MATERIALIZED VIEW q4 AS
  SELECT q.category, avg(q.final) AS average FROM (
    SELECT max(b.price) AS final, a.category FROM auction a, bid b
    WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
  GROUP BY q.category;
CREATE MATERIALIZED VIEW q5 AS
  SELECT ab.auction, ab.num FROM (
    SELECT auction, count(*) AS num, window_start, window_end FROM hop(bid, date_time, interval '2 s', interval '10 s') GROUP BY auction, window_start, window_end) ab
  JOIN (
    SELECT max(cb.num) AS maxn, cb.window_start, cb.window_end FROM (
      SELECT count(*) AS num, window_start, window_end FROM hop(bid, date_time, interval '2 s', interval '10 s') GROUP BY auction, window_start, window_end) cb
    GROUP BY cb.window_start, cb.window_end) mb
  ON ab.window_start = mb.window_start AND ab.window_end = mb.window_end AND ab.num >= mb.maxn;
CREATE MATERIALIZED VIEW q7 AS
  SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM bid b JOIN (
    SELECT max(price) AS maxprice, window_end FROM tumble(bid, date_time, interval '10 s') GROUP BY window_start, window_end) b1
  ON b.price = b1.maxprice WHERE b.date_time BETWEEN b1.window_end - interval '10 s' AND b1.window_end;
CREATE MATERIALIZED VIEW q8 AS
  SELECT p.id, p.name, p.window_start FROM (
    SELECT id, name, window_start, window_end FROM tumble(person, date_time, interval '10 s') GROUP BY id, name, window_start, window_end) p
  JOIN (SELECT seller, window_start, window_end FROM tumble(auction, date_time, interval '10 s') GROUP BY seller, window_start, window_end) a
  ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
CREATE MATERIALIZED VIEW q9 AS
  SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra, auction, bidder, price, bid_date_time, bid_extra FROM (
    SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_date_time, b.extra AS bid_extra,
      row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC) AS rownum
    FROM auction a, bid b WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires) AS x
  WHERE rownum <= 1;
CREATE MATERIALIZED VIEW q10 AS SELECT auction, bidder, price, date_time, extra, to_char(date_time, 'YYYY-MM-DD') AS dt, to_char(date_time, 'HH24:MI') AS hm FROM bid;
CREATE MATERIALIZED VIEW q11 AS SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime FROM session(bid, date_time, interval '10 s', bidder) GROUP BY bidder, window_start, window_end;
CREATE MATERIALIZED VIEW q13 AS SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side_input s ON mod(b.auction, 10000) = s.key;
CREATE MATERIALIZED VIEW q14 AS
  SELECT auction, bidder, 0.908 * price AS price,
    CASE WHEN extract(hour FROM date_time) >= 8 AND extract(hour FROM date_time) <= 18 THEN 'dayTime'
         WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type,
    date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
  FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;
CREATE MATERIALIZED VIEW q15 AS
  SELECT to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS total_bids,
    count(*) FILTER (WHERE price < 10000) AS rank1_bids, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids, count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
    count(DISTINCT bidder) AS total_bidders, count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
    count(DISTINCT auction) AS total_auctions, count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
  FROM bid GROUP BY to_char(date_time, 'YYYY-MM-DD');
CREATE MATERIALIZED VIEW q16 AS
  SELECT channel, to_char(date_time, 'YYYY-MM-DD') AS day, max(to_char(date_time, 'HH24:MI')) AS minute, count(*) AS total_bids, count(DISTINCT bidder) AS total_bidders
  FROM bid GROUP BY channel, to_char(date_time, 'YYYY-MM-DD');
CREATE MATERIALIZED VIEW q17 AS
  SELECT auction, to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS total_bids, count(*) FILTER (WHERE price < 10000) AS rank1_bids,
    min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price
  FROM bid GROUP BY auction, to_char(date_time, 'YYYY-MM-DD');
CREATE MATERIALIZED VIEW q18 AS
  SELECT auction, bidder, price, channel, url, date_time, extra FROM (
    SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rank_number FROM bid) x WHERE rank_number <= 1;
CREATE MATERIALIZED VIEW q19 AS SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) x WHERE rank_number <= 10;
CREATE MATERIALIZED VIEW q20 AS
  SELECT auction, bidder, price, channel, url, b.date_time AS bid_date_time, b.extra AS bid_extra, item_name, description, initial_bid, reserve, a.date_time AS auction_date_time, expires, seller, category, a.extra AS auction_extra
  FROM bid AS b INNER JOIN auction AS a ON b.auction = a.id WHERE a.category = 10;
CREATE MATERIALIZED VIEW q21 AS
  SELECT auction, bidder, price, channel,
    CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3'
      ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
  FROM bid WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu');
CREATE MATERIALIZED VIEW q22 AS
  SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid;
