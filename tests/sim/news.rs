//! News of the platform about the number and its templates, in some of the worlds: what they hold does not leave until the platform,
//! or a person, says otherwise.
//!
//! Drawn from a stream of their own, so that worlds without them stay what they were. One piece of news is on its way at a time: the
//! order of two is the platform's, and bodies come in any.

use super::reports::{Follows, Report};
use super::world::World;
use crate::message::{Category, News, Notice, Quality, TemplateName};

const TEMPLATES: [&str; 4] = ["order_ready", "receipt", "node_alarm", "offer"];

/// What news hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Held {
    /// The number is rated YELLOW, or RED.
    Yellow,
    Red,
    /// A template is rated RED.
    Rated(&'static str),
    /// The platform counts a template as marketing.
    Marketing(&'static str),
}

impl Held {
    /// Whether a message of this rule must not leave. `wrote`: the person wrote to us once; perhaps the window is open.
    pub fn stops(self, rule: &str, wrote: bool) -> bool {
        let critical = matches!(rule, "urgent" | "alarm");
        let template = match rule {
            "urgent" | "high" => "receipt",
            "alarm" => "node_alarm",
            "offer" => "offer",
            "hello" => "",
            _ => "order_ready",
        };
        match self {
            Held::Yellow => rule == "offer",
            Held::Red => !critical && (rule == "offer" || !wrote),
            Held::Rated(name) => !critical && template == name,
            Held::Marketing(name) => template == name,
        }
    }

    pub fn is_of(self, template: &str) -> bool {
        matches!(self, Held::Rated(name) | Held::Marketing(name) if name == template)
    }

    pub fn is_of_number(self) -> bool {
        matches!(self, Held::Yellow | Held::Red)
    }
}

impl World {
    /// The platform has something to say about number or templates.
    pub fn platform_news(&mut self) {
        let known = self.reports.iter().chain(self.told.values().flatten());
        if known.filter(|report| matches!(report.follows, Follows::News(_))).count() > 0 {
            return;
        }
        let name = TEMPLATES[self.more.usize(0..TEMPLATES.len())];
        let held = match self.more.u8(0..8) {
            0 => Some(Held::Yellow),
            1 => Some(Held::Red),
            2 => Some(Held::Rated(name)),
            // An offer is marketing in our own list too.
            3 if name != "offer" => Some(Held::Marketing(name)),
            4 | 5 => return self.all_is_well_with(name),
            _ => return self.rated(Quality::Green, None),
        };
        match held {
            Some(Held::Yellow) => self.rated(Quality::Yellow, held),
            Some(Held::Red) => self.rated(Quality::Red, held),
            Some(Held::Rated(_)) => self.report_news(rating(name, Quality::Red), held),
            Some(Held::Marketing(_)) => self.report_news(category(name, Category::Marketing), held),
            None => {}
        }
    }

    fn rated(&mut self, quality: Quality, held: Option<Held>) {
        // Also an answer to a question tells it from now on.
        self.quality = quality;
        self.lifted_news(Held::is_of_number);
        self.report_news(News::Quality(quality), held);
    }

    fn all_is_well_with(&mut self, name: &'static str) {
        self.lifted_news(|held| held.is_of(name));
        self.report_news(rating(name, Quality::Green), None);
        let category_of = if name == "offer" { Category::Marketing } else { Category::Utility };
        self.report_news(category(name, category_of), None);
    }

    fn report_news(&mut self, news: News, held: Option<Held>) {
        self.say(|| format!("the platform has news: {news:?}"));
        self.reports.push(Report { notice: Notice::News(news), follows: Follows::News(held) });
        self.reach.did("news");
    }

    /// From now on the box may let it go, also what it is only being told of.
    pub fn lifted_news(&mut self, lifted: impl Fn(Held) -> bool) {
        self.books.held.retain(|held| !lifted(*held));
        for report in self.reports.iter_mut().chain(self.told.values_mut().flatten()) {
            if let Follows::News(held) = &mut report.follows
                && held.is_some_and(&lifted)
            {
                *held = None;
            }
        }
    }

    /// The platform is content with everything, and has forgotten whatever else it wanted to say about it.
    pub fn news_end(&mut self) {
        self.reports.retain(|report| !matches!(report.follows, Follows::News(_)));
        self.rated(Quality::Green, None);
        TEMPLATES.into_iter().for_each(|name| self.all_is_well_with(name));
    }
}

fn named(name: &str) -> TemplateName {
    TemplateName { name: name.to_owned(), language: Some("pt_BR".to_owned()) }
}

fn rating(name: &str, quality: Quality) -> News {
    News::TemplateQuality { template: named(name), quality }
}

fn category(name: &str, category: Category) -> News {
    News::TemplateCategory { template: named(name), category }
}
