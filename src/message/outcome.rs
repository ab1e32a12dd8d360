//! How a message or an event ended, and why: two flat enums with stable codes, the same in logs, metrics, the store,
//! receipts and the status page.
//!
//! Floor: words. To add a reason: a line here, a row in README's table; the tidy test names what is missing.

use std::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }
        impl $name {
            /// All of them, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)+ }
            }
            /// The inverse of [`code`](Self::code).
            pub fn of_code(code: &str) -> Option<$name> {
                match code { $($code => Some($name::$variant),)+ _ => None }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.code())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let code = String::deserialize(deserializer)?;
                $name::of_code(&code).ok_or_else(|| serde::de::Error::custom(format!("no such code: {code}")))
            }
        }
    };
}

codes! {
    /// Where a message stands or how it ended. `Stored`, `Unknown`, `Accepted` and `Delivered` may still change; all others are final.
    Outcome {
        /// On this box, waiting for its turn.
        Stored = "stored",
        /// Sent, and nobody knows whether it arrived: waits for `policy.unknown_wait`, then `on_unknown` decides.
        Unknown = "unknown",
        /// The platform took it.
        Accepted = "accepted",
        /// It reached the person's phone.
        Delivered = "delivered",
        /// The person opened it.
        Read = "read",
        /// The platform took it and then failed to deliver it.
        Failed = "failed",
        /// The platform refused it.
        Refused = "refused",
        /// Policy forbids it.
        Withheld = "withheld",
        /// Too old to be of use.
        Expired = "expired",
        /// A newer message about the same subject, or an operator, took its place.
        Withdrawn = "withdrawn",
        /// Told together with others.
        Merged = "merged",
        /// Gave way to something more important when the store was full.
        Displaced = "displaced",
        /// The event could not be understood; nobody was messaged.
        Unreadable = "unreadable",
    }
}

codes! {
    /// Why something happened, waits, or did not happen.
    Reason {
        // --- events
        /// No rule's topic matches.
        NoRule = "no-rule",
        /// The rule's `when` is false.
        WhenFalse = "when-false",
        /// A retained message is a state, not an event.
        RetainedIgnored = "retained-ignored",
        /// The same event came before, within `dedupe_window`.
        Duplicate = "duplicate",
        /// The broker sent the same packet again.
        Redelivered = "redelivered",
        /// QoS 0 arrived faster than it could be read.
        Overrun = "overrun",
        /// The event had an effect (consent) and no message.
        EffectOnly = "effect-only",
        /// The payload is over `mqtt.max_payload`.
        PayloadTooLarge = "payload-too-large",
        /// The payload is not what the rule's `format` says.
        PayloadUnreadable = "payload-unreadable",
        /// An expression compared different kinds, ran out of steps, or failed.
        ExpressionFailed = "expression-failed",
        /// A template named a missing field, ran out of steps, or failed.
        TemplateFailed = "template-failed",
        /// The recipient is no phone number.
        NumberUnreadable = "number-unreadable",
        /// The rule's `to` named nobody.
        NobodyToTell = "nobody-to-tell",
        /// `to` named more people than one event may reach.
        TooManyRecipients = "too-many-recipients",
        /// The template does not exist in the language, or takes other parameters.
        TemplateMismatch = "template-mismatch",

        // --- policy
        /// The ledger holds no consent for the purpose.
        NoConsent = "no-consent",
        /// The person took the consent back.
        ConsentRevoked = "consent-revoked",
        /// The consent ran out.
        ConsentExpired = "consent-expired",
        /// Free text outside the 24-hour service window.
        WindowClosed = "window-closed",
        /// The platform said that the person cannot be reached on WhatsApp.
        Undeliverable = "undeliverable",
        /// The person told the platform to stop marketing.
        MarketingStopped = "marketing-stopped",

        // --- outbox
        /// Stored and due.
        Due = "due",
        /// Older than `expires`, or than the MQTT 5 expiry.
        TooOld = "too-old",
        /// A newer message about the same subject.
        Superseded = "superseded",
        /// An operator dropped it.
        Dropped = "dropped",
        /// The person was erased, and with it whom the message was for.
        Erased = "erased",
        /// The store is full; the event is held and not acknowledged.
        StoreFull = "store-full",
        /// Gave way to something more important.
        GaveWay = "gave-way",
        /// The store was damaged and something is lost: held until an operator accepts the loss; or lost with it.
        StoreDamaged = "store-damaged",

        // --- waiting
        /// No way to the API.
        UplinkDown = "uplink-down",
        /// `uplink.pause` is set, or an operator paused everything.
        Paused = "paused",
        /// An operator paused the rule.
        RulePaused = "rule-paused",
        /// An operator paused the category.
        CategoryPaused = "category-paused",
        /// An operator paused the template.
        TemplatePaused = "template-paused",
        /// One message per person and `pair_interval`.
        PairLimit = "pair-limit",
        /// `sender_per_second`.
        SenderLimit = "sender-limit",
        /// `limits.daily_recipients`: as many people in 24 hours as the platform lets the number reach.
        DailyLimit = "daily-limit",
        /// `limits.daily_messages`: as many messages in 24 hours as the branch itself allows.
        DailyMessages = "daily-messages",
        /// `limits.caps.rule`: the rule fired so often that an operator must look at it.
        RuleSurge = "rule-surge",
        /// `limits.caps`: this person had as many of the kind as the branch itself allows.
        OwnCap = "own-cap",
        /// As many posts in flight as allowed.
        InFlightLimit = "in-flight-limit",
        /// An earlier message to the same person is on its way.
        PersonBusy = "person-busy",
        /// Waits for a trusted clock.
        ClockUnsynced = "clock-unsynced",
        /// Quiet hours of its category, or outside the `hours` of its rule.
        QuietHours = "quiet-hours",
        /// Free space on the disk is below the reserve.
        DiskReserve = "disk-reserve",

        // --- answers
        /// 200.
        Taken = "taken",
        /// The platform reported it, by itself.
        Reported = "reported",
        /// No connection: surely not sent.
        NoConnection = "no-connection",
        /// The certificate or the TLS handshake failed: surely not sent.
        TlsFailed = "tls-failed",
        /// No answer in time.
        NoAnswer = "no-answer",
        /// The connection ended before the answer.
        ConnectionLost = "connection-lost",
        /// The daemon ended before the answer.
        Restarted = "restarted",
        /// The platform had a fault and may have sent it.
        PlatformFault = "platform-fault",
        /// An answer that nobody can read.
        AnswerUnreadable = "answer-unreadable",
        /// Nothing was heard after an unknown; `on_unknown` says stop.
        NotRepeated = "not-repeated",
        /// The token is missing, expired or invalid.
        TokenInvalid = "token-invalid",
        /// The token lacks a permission.
        PermissionMissing = "permission-missing",
        /// The platform locked or disabled the account.
        AccountLocked = "account-locked",
        /// A policy restriction.
        PolicyRestricted = "policy-restricted",
        /// Payment is missing.
        PaymentMissing = "payment-missing",
        /// The number is not registered, not approved or deleted.
        NumberUnusable = "number-unusable",
        /// People block or report the number's messages: marketing waits.
        QualityYellow = "quality-yellow",
        /// Many do: everything waits but what is critical and what answers a person.
        QualityRed = "quality-red",
        /// News of the platform about account, number or templates.
        PlatformNews = "platform-news",
        /// The broker lost the session of the notices: what people took back meanwhile may be missing here.
        StopsMissed = "stops-missed",
        /// The platform restricts this number for spam.
        SpamRestricted = "spam-restricted",
        /// Calls of the application are over the limit.
        AppLimit = "app-limit",
        /// Messages per second of this number are over the limit.
        NumberLimit = "number-limit",
        /// Messages to this person are over the platform's limit.
        PlatformPairLimit = "platform-pair-limit",
        /// The number is in maintenance.
        NumberMaintenance = "number-maintenance",
        /// The platform's limit after misclassified templates.
        Misclassified = "misclassified",
        /// The request is wrong.
        RequestInvalid = "request-invalid",
        /// A parameter's value is wrong.
        ParameterInvalid = "parameter-invalid",
        /// The filled-in text is too long.
        TextTooLong = "text-too-long",
        /// The recipient is the sender.
        RecipientIsSender = "recipient-is-sender",
        /// The recipient is not on a test number's list.
        RecipientNotAllowed = "recipient-not-allowed",
        /// We blocked this user.
        UserBlocked = "user-blocked",
        /// The recipient's country is closed to this business.
        CountryRestricted = "country-restricted",
        /// The platform withheld it to protect the person.
        PlatformCap = "platform-cap",
        /// The person is in an experiment of the platform.
        Experiment = "experiment",
        /// The message type is not supported.
        TypeUnsupported = "type-unsupported",
        /// The media could not be used.
        MediaUnusable = "media-unusable",
        /// The template is missing or not approved.
        TemplateMissing = "template-missing",
        /// The template takes other parameters.
        TemplateParameters = "template-parameters",
        /// People block or report many messages by the template.
        TemplateQuality = "template-quality",
        /// The platform counts the template as marketing, and the box's list does not.
        TemplateCategory = "template-category",
        /// The template breaks policy.
        TemplatePolicy = "template-policy",
        /// The platform paused the template.
        TemplatePausedByPlatform = "template-paused-by-platform",
        /// The platform disabled the template for good.
        TemplateDisabled = "template-disabled",
        /// A Flow is blocked or throttled.
        FlowHeld = "flow-held",
        /// Marketing goes by another endpoint.
        MarketingEndpoint = "marketing-endpoint",
        /// The person's identity changed.
        IdentityChanged = "identity-changed",
        /// A code that this version does not know.
        UnknownCode = "unknown-code",
    }
}
