// Where people are told: give one or several to `Alerts.layer`.
export { type AlertNotification, type AlertSink, log, type LogOptions, type NotifiedAlert } from "./AlertSink.ts"
export { alertmanager, type AlertmanagerOptions, webhook, type WebhookOptions } from "./Webhook.ts"
