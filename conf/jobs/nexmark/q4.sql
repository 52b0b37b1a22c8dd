-- Nexmark 4. The mean of the winning bids of each category: groups of groups over a join.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW auction AS
    SELECT (auction ->> 'id')::int8 AS id, auction ->> 'itemName' AS item_name, auction ->> 'description' AS description,
        (auction ->> 'initialBid')::int8 AS initial_bid, (auction ->> 'reserve')::int8 AS reserve, ts AS date_time,
        (auction ->> 'expires')::timestamptz AS expires, (auction ->> 'seller')::int8 AS seller,
        (auction ->> 'category')::int8 AS category, auction ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 1;

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q4 AS
    SELECT category, avg(final) AS final
    FROM (
        SELECT max(b.price) AS final, a.category
        FROM auction AS a JOIN bid AS b ON a.id = b.auction
        WHERE b.date_time BETWEEN a.date_time AND a.expires
        GROUP BY a.id, a.category
    ) AS winning
    GROUP BY category;
