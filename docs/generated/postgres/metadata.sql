-- Generated from the metric definitions: change those, not this file.
set standard_conforming_strings = on;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('http_requests_total', 'counter', 'Total number of HTTP requests', '', '["method","path","status"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('http_request_duration_seconds', 'histogram', 'HTTP request duration in seconds', 'seconds', '["method","path"]'::jsonb, '[0.01,0.05,0.1,0.5,1,2.5,5,10]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('http_request_size_bytes', 'histogram', 'HTTP request body size in bytes', 'bytes', '["method","path"]'::jsonb, '[100,1000,10000,100000,1000000,10000000]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('http_response_size_bytes', 'histogram', 'HTTP response body size in bytes', 'bytes', '["method","path"]'::jsonb, '[100,1000,10000,100000,1000000,10000000]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('db_connections', 'gauge', 'Number of database connections', '', '["pool_name","state"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('db_operation_duration_seconds', 'histogram', 'Database operation duration in seconds', 'seconds', '["operation","table"]'::jsonb, '[0.001,0.005,0.01,0.05,0.1,0.5,1]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('db_errors_total', 'counter', 'Total number of failed database operations', '', '["operation","error_type"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('cache_hits_total', 'counter', 'Total number of cache hits', '', '["cache_name"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('cache_misses_total', 'counter', 'Total number of cache misses', '', '["cache_name"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('cache_operation_duration_seconds', 'histogram', 'Cache operation duration in seconds', 'seconds', '["operation"]'::jsonb, '[0.001,0.005,0.01,0.05,0.1,0.5,1]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('message_published_total', 'counter', 'Total number of published messages', '', '["topic"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('message_consumed_total', 'counter', 'Total number of messages delivered to a consumer', '', '["topic","consumer_group"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('message_processed_total', 'counter', 'Total number of processed messages', '', '["topic","consumer_group"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('message_processing_duration_seconds', 'histogram', 'Message processing duration in seconds', 'seconds', '["topic"]'::jsonb, '[0.01,0.05,0.1,0.5,1,2.5,5,10]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('errors_total', 'counter', 'Total number of errors, by class, level and type; one however many boundaries it crossed', '', '["class","level","error_type"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('span_duration_seconds', 'histogram', 'Span duration in seconds, by operation, kind and status; of all spans of these operations, sampled or not', 'seconds', '["operation","kind","status"]'::jsonb, '[0.001,0.005,0.01,0.05,0.1,0.5,1,2.5,5,10]'::jsonb, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_metrics_processing_seconds', 'histogram', 'Metrics processing duration: from a batch''s first attempt to its acknowledgement', 'seconds', '["backend"]'::jsonb, '[0.001,0.005,0.01,0.05,0.1,0.5,1,5]'::jsonb, null, 1)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_dropped_metrics_total', 'counter', 'Number of dropped metric frames, spans, errors and log lines, by backend, signal and reason', '', '["backend","signal","reason"]'::jsonb, null, null, 100)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_exported_total', 'counter', 'Number of metric frames, spans, errors and log lines a backend acknowledged', '', '["backend","signal"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_error_repeats_total', 'counter', 'Number of errors that were counted and not reported, because there were too many of their fingerprint', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_logs_sampled_out_total', 'counter', 'Number of log lines that were held back with a trace that is not kept, and never written', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_queue_items', 'gauge', 'Metric frames, spans, errors and log lines waiting for a backend, in flight included', '', '["backend","signal"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_queue_age_seconds', 'gauge', 'Age of the oldest item waiting for a backend', 'seconds', '["backend","signal"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_rejected_records_total', 'counter', 'Records refused or repaired by the metric store, by reason', '', '["reason"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_cardinality_overflow_total', 'counter', 'Records that found no series of their own and went into a metric''s overflow series, by metric', '', '["metric"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_ledger_imbalance_total', 'counter', 'Times the books of a queue did not balance; above zero it is a bug in effect-observability', '', '["backend","signal"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_spans_sampled_out_total', 'counter', 'Spans that ended and were not kept, by decision of the sampler', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_spans_held', 'gauge', 'Spans waiting until it is decided whether their trace is kept', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_traces_decided_early_total', 'counter', 'Traces decided before their first span ended, because a bound was reached', '', '["reason"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_alerts_firing', 'gauge', 'Alerts that fire, by rule and severity', '', '["alertname","severity"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_alerts_notifications_total', 'counter', 'Notifications about alerts by sink and outcome: sent; failed, an attempt that is tried again; dropped', '', '["sink","outcome"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_alerts_overflow_total', 'counter', 'Series that an alert rule does not watch, because it has too many groups of labels', '', '["alertname"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_series', 'gauge', 'Series held by the metric store', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_config_reloads_total', 'counter', 'Number of times other settings were read and put in force while the program ran', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_config_reload_failures_total', 'counter', 'Number of times other settings could not be used, so that the former ones stayed in force', '', '[]'::jsonb, null, null, 0)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_config_last_reload_success', 'gauge', '1 when the newest settings are in force, 0 when they could not be used', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_shed_total', 'counter', 'Spans, log lines and errors given up because the program was short of memory or its queues were full, by kind', '', '["what"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_load_level', 'gauge', 'How much is given up: 0 nothing, 1 details, 2 all but errors, 3 spans and log lines, 4 all but metrics', '', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_upkeep_actions_total', 'counter', 'What a store did by itself about a disk that fills, by action; those of a dry run begin with would_', '', '["backend","action"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_backend_rebuilds_total', 'counter', 'Number of times a backend that gave no answer was asked again on another connection, or its queue was given to another fiber', '', '["backend","signal"]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
insert into "observability"."observability_metric_metadata" (name, type, help, unit, label_names, buckets, objectives, alert_threshold) values ('obs_load_sampling_ratio', 'gauge', 'Share of the traces the sampler wants that is kept under the present load', 'ratio', '[]'::jsonb, null, null, null)
  on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
    buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold;
