//! Twilio's REST API, as far as casewire uses it: Messages create, fetch, list and delete, and what files they have;
//! IncomingPhoneNumbers list, fetch and update.

mod answer;
mod auth;
mod create;
mod filter;
mod numbers;
mod read;

use actix_web::web::{self, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::message::API_VERSION;
use crate::refusal::Refusal;
use crate::simulator::Simulator;

impl Simulator {
    /// Mounts the REST API under any scope: its paths begin `/2010-04-01/Accounts/`. It guards itself with
    /// Basic auth, as Twilio does.
    pub fn rest_routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + use<> {
        let simulator = web::Data::new(self.clone());
        move |app| {
            let messages = web::resource("/Messages.json")
                .route(web::post().to(create::create))
                .route(web::get().to(read::list))
                .default_service(web::to(wrong_method));
            let message = web::resource("/Messages/{sid}.json")
                .route(web::get().to(read::fetch))
                .route(web::delete().to(read::delete))
                .default_service(web::to(wrong_method));
            let media = web::resource("/Messages/{sid}/Media.json")
                .route(web::get().to(read::media))
                .default_service(web::to(wrong_method));
            let numbers = web::resource("/IncomingPhoneNumbers.json")
                .route(web::get().to(numbers::list))
                .default_service(web::to(wrong_method));
            let number = web::resource("/IncomingPhoneNumbers/{sid}.json")
                .route(web::get().to(numbers::fetch))
                .route(web::post().to(numbers::update))
                .default_service(web::to(wrong_method));
            let accounts = web::scope("/2010-04-01/Accounts/{account}")
                .app_data(simulator.clone())
                .app_data(PayloadConfig::new(simulator.config().body_max))
                .service(messages)
                .service(message)
                .service(media)
                .service(numbers)
                .service(number)
                .default_service(web::to(not_found));
            app.service(accounts);
        }
    }
}

async fn wrong_method() -> Result<HttpResponse, Refusal> {
    Err(Refusal::of(20_004))
}

async fn not_found() -> Result<HttpResponse, Refusal> {
    Err(Refusal::of(20_404))
}

/// What comes before the API's own paths: nothing at Twilio, the scope it is mounted under here.
fn mount(request: &HttpRequest) -> &str {
    let path = request.path();
    path.find(API_VERSION).map_or("", |at| path[..at].trim_end_matches('/'))
}
