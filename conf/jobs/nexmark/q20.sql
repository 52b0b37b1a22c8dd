-- Nexmark 20. Bids with the auctions that they are on, of one category.
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

CREATE MATERIALIZED VIEW q20 AS
    SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_date_time, b.extra AS bid_extra,
        a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_date_time, a.expires, a.seller, a.category,
        a.extra AS auction_extra
    FROM bid AS b JOIN auction AS a ON b.auction = a.id
    WHERE a.category = 10;
