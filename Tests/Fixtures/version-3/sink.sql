SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.campaign_report (
    campaign_id text NOT NULL,
    minute timestamp with time zone NOT NULL,
    views bigint,
    clicks bigint,
    click_rate double precision
);
CREATE TABLE public.campaign_views (
    campaign_id text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    views bigint
);
CREATE TABLE public.sluice_claims (
    job_id text NOT NULL,
    sink text NOT NULL,
    job text NOT NULL,
    identity text,
    parent text,
    keys text,
    taken_by text
);
CREATE TABLE public.sluice_jobs (
    job text NOT NULL,
    job_id text NOT NULL,
    epoch bigint NOT NULL
);
CREATE TABLE public.sluice_ledger (
    job_id text NOT NULL,
    sink text NOT NULL,
    part bigint NOT NULL,
    batch bigint NOT NULL,
    epoch bigint NOT NULL,
    digest text NOT NULL,
    witness text,
    refused bigint
);
CREATE TABLE public.sluice_refused (
    job_id text NOT NULL,
    sink text NOT NULL,
    part bigint NOT NULL,
    batch bigint NOT NULL,
    number bigint NOT NULL,
    topic text,
    partition bigint,
    "offset" bigint,
    row_key text,
    reason text NOT NULL
);
INSERT INTO public.campaign_report VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:00:00+00', 5, 6, 1.2);
INSERT INTO public.campaign_report VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:00:00+00', 5, 2, 0.4);
INSERT INTO public.campaign_report VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:00:00+00', 3, 3, 1);
INSERT INTO public.campaign_report VALUES ('a7ed8821-dca1-4c0e-b18a-02f46d8d86c3', '2026-03-01 12:00:00+00', 2, 4, 2);
INSERT INTO public.campaign_report VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:00+00', 6, 1, 0.16666666666666666);
INSERT INTO public.campaign_report VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:00:00+00', 4, 3, 0.75);
INSERT INTO public.campaign_report VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:00:00+00', 3, 1, 0.3333333333333333);
INSERT INTO public.campaign_report VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:00:00+00', 1, 3, 3);
INSERT INTO public.campaign_report VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:00:00+00', 5, 4, 0.8);
INSERT INTO public.campaign_report VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:00:00+00', 3, 5, 1.6666666666666667);
INSERT INTO public.campaign_report VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:01:00+00', 5, 5, 1);
INSERT INTO public.campaign_report VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:01:00+00', 2, 5, 2.5);
INSERT INTO public.campaign_report VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:00+00', 8, 2, 0.25);
INSERT INTO public.campaign_report VALUES ('a7ed8821-dca1-4c0e-b18a-02f46d8d86c3', '2026-03-01 12:01:00+00', 1, 2, 2);
INSERT INTO public.campaign_report VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:01:00+00', 1, 4, 4);
INSERT INTO public.campaign_report VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:01:00+00', 0, 5, NULL);
INSERT INTO public.campaign_report VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:01:00+00', 5, 3, 0.6);
INSERT INTO public.campaign_report VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:01:00+00', 2, 2, 1);
INSERT INTO public.campaign_report VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:01:00+00', 0, 3, NULL);
INSERT INTO public.campaign_report VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:01:00+00', 4, 2, 0.5);
INSERT INTO public.campaign_views VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:00:30+00', 2);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:00:30+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:00:40+00', 2);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:00:00+00', 2);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:00:20+00', 2);
INSERT INTO public.campaign_views VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:00:40+00', 1);
INSERT INTO public.campaign_views VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:00:10+00', 1);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('a7ed8821-dca1-4c0e-b18a-02f46d8d86c3', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:30+00', 1);
INSERT INTO public.campaign_views VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:00:10+00', 1);
INSERT INTO public.campaign_views VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:00:50+00', 2);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:00:30+00', 1);
INSERT INTO public.campaign_views VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('055357b4-71ce-4679-80aa-06d61ae7e0fa', '2026-03-01 12:00:50+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:00:50+00', 1);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:00:50+00', 1);
INSERT INTO public.campaign_views VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('a7ed8821-dca1-4c0e-b18a-02f46d8d86c3', '2026-03-01 12:00:00+00', 1);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:10+00', 1);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:40+00', 2);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:00:50+00', 1);
INSERT INTO public.campaign_views VALUES ('d869e8a3-2c14-4e9e-93ca-f315ad9bf56e', '2026-03-01 12:00:20+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:00:10+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:01:00+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:01:50+00', 2);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:01:30+00', 2);
INSERT INTO public.campaign_views VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:01:50+00', 1);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:30+00', 2);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:50+00', 1);
INSERT INTO public.campaign_views VALUES ('ce639a27-887a-4771-9be8-40f98133653d', '2026-03-01 12:01:10+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:01:00+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:01:10+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:01:20+00', 1);
INSERT INTO public.campaign_views VALUES ('f8c5b62c-83f7-47e8-ad33-9d1740130edd', '2026-03-01 12:01:40+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:01:10+00', 1);
INSERT INTO public.campaign_views VALUES ('0bdc025e-3e51-4afa-a206-6530bfa1767c', '2026-03-01 12:01:20+00', 1);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:01:00+00', 2);
INSERT INTO public.campaign_views VALUES ('351a22fc-df6c-4e3b-a5dd-55d1d4df0c5a', '2026-03-01 12:01:40+00', 1);
INSERT INTO public.campaign_views VALUES ('498c3f6d-e94a-474e-a5b1-7b2c7fe6c217', '2026-03-01 12:01:20+00', 1);
INSERT INTO public.campaign_views VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:01:00+00', 1);
INSERT INTO public.campaign_views VALUES ('54e98cc1-abab-4d7c-81ba-c56616f990ec', '2026-03-01 12:01:40+00', 1);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:00+00', 1);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:10+00', 3);
INSERT INTO public.campaign_views VALUES ('607d39f7-83ff-4f1f-a647-ea59f17ee67d', '2026-03-01 12:01:20+00', 1);
INSERT INTO public.campaign_views VALUES ('a7ed8821-dca1-4c0e-b18a-02f46d8d86c3', '2026-03-01 12:01:00+00', 1);
INSERT INTO public.sluice_claims VALUES ('29f0908dd1b86b52d3da5675c03b283c', 'campaign_views', 'campaign-views', '16766:16766', NULL, NULL, NULL);
INSERT INTO public.sluice_claims VALUES ('cf3e08f9ea856c45175f01b2ae4de5ff', 'campaign_report', 'campaign-report', '16787:16787', NULL, NULL, NULL);
INSERT INTO public.sluice_jobs VALUES ('campaign-views', '29f0908dd1b86b52d3da5675c03b283c', 1);
INSERT INTO public.sluice_jobs VALUES ('campaign-report', 'cf3e08f9ea856c45175f01b2ae4de5ff', 1);
INSERT INTO public.sluice_ledger VALUES ('29f0908dd1b86b52d3da5675c03b283c', 'campaign_views', 1, 2, 1, 'c0585777f6bb5a11000000000000000b', '["tf8c5b62c-83f7-47e8-ad33-9d1740130edd","t2026-03-01T12:01:40.000Z","i1"]', NULL);
INSERT INTO public.sluice_ledger VALUES ('29f0908dd1b86b52d3da5675c03b283c', 'campaign_views', 0, 2, 1, '1ebb55420414b9a7000000000000000b', '["ta7ed8821-dca1-4c0e-b18a-02f46d8d86c3","t2026-03-01T12:01:00.000Z","i1"]', NULL);
INSERT INTO public.sluice_ledger VALUES ('cf3e08f9ea856c45175f01b2ae4de5ff', 'campaign_report', 0, 2, 1, '62e9dd13de4c3e970000000000000005', '["tce639a27-887a-4771-9be8-40f98133653d","t2026-03-01T12:01:00.000Z","i1","i4","d4616189618054758400"]', NULL);
INSERT INTO public.sluice_ledger VALUES ('cf3e08f9ea856c45175f01b2ae4de5ff', 'campaign_report', 1, 2, 1, 'ada608b6588081960000000000000005', '["tf8c5b62c-83f7-47e8-ad33-9d1740130edd","t2026-03-01T12:01:00.000Z","i4","i2","d4602678819172646912"]', NULL);
ALTER TABLE ONLY public.campaign_report
    ADD CONSTRAINT campaign_report_pkey PRIMARY KEY (campaign_id, minute);
ALTER TABLE ONLY public.campaign_views
    ADD CONSTRAINT campaign_views_pkey PRIMARY KEY (campaign_id, window_start);
ALTER TABLE ONLY public.sluice_claims
    ADD CONSTRAINT sluice_claims_pkey PRIMARY KEY (job_id, sink);
ALTER TABLE ONLY public.sluice_jobs
    ADD CONSTRAINT sluice_jobs_pkey PRIMARY KEY (job);
ALTER TABLE ONLY public.sluice_ledger
    ADD CONSTRAINT sluice_ledger_pkey PRIMARY KEY (job_id, sink, part);
ALTER TABLE ONLY public.sluice_refused
    ADD CONSTRAINT sluice_refused_pkey PRIMARY KEY (job_id, sink, part, batch, number);
