//! The one guard that stands before a whole scope.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage as _, ResponseError as _};

use super::Authority;

/// Lets through who has a token or a session, and tells the handlers who that is ([`super::Caller`]); the
/// others get a 401. Wrap it round a scope: `web::scope("/x").wrap(guard)`.
#[derive(Clone)]
pub struct Guard(Authority);

impl Guard {
    pub(crate) fn new(authority: Authority) -> Self {
        Self(authority)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded { service: Rc::new(service), authority: self.0.clone() }))
    }
}

/// A guarded service.
pub struct Guarded<S> {
    service: Rc<S>,
    authority: Authority,
}

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let service = Rc::clone(&self.service);
        let authority = self.authority.clone();
        Box::pin(async move {
            match authority.admit(request.request()).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    Ok(service.call(request).await?.map_into_left_body())
                }
                Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
            }
        })
    }
}
