//! Reads the bearer token of a request.

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap};

use super::Refusal;

/// The maximum length of a token. Tokens of identity providers with many groups have several kilobytes.
const MAX_TOKEN_LEN: usize = 16 * 1024;

/// Returns the token in the `Authorization` header. A token in the query string is refused, since it would be in the
/// logs of every proxy.
pub(super) fn bearer_token<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<&'a str, Refusal> {
    if has_query_token(uri) {
        return Err(Refusal::Malformed("send the token in the header `Authorization`, not in the query"));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Refusal::NoToken) };
    if values.next().is_some() {
        return Err(Refusal::Malformed("the header `Authorization` occurs twice"));
    }
    let malformed = Refusal::Malformed("the header `Authorization` is malformed");
    let text = value.to_str().map_err(|_| malformed.clone())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(|| malformed.clone())?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoToken);
    }
    let token = token.trim();
    if token.starts_with("${") || token.starts_with("$(") {
        return Err(Refusal::InvalidToken("the client sent the name of a variable, and not its value"));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || token.len() > MAX_TOKEN_LEN || !token.bytes().all(is_token) {
        return Err(malformed);
    }
    Ok(token)
}

/// Whether the query has an `access_token`. A name with an escape counts as one, because it could decode to that name.
fn has_query_token(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        name.eq_ignore_ascii_case("access_token") || name.contains('%')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str], path: &str) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer_token(&headers, &path.parse().unwrap()).map(str::to_owned)
    }

    #[test]
    fn bearer_token_of_any_case_is_read() {
        for value in ["Bearer abc.DEF-_~+/=", "bearer abc.DEF-_~+/=", "BEARER  abc.DEF-_~+/= "] {
            assert_eq!(read(&[value], "/mcp").as_deref(), Ok("abc.DEF-_~+/="), "{value}");
        }
    }

    #[test]
    fn bearer_token_malformed_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_LEN + 1));
        let is_malformed = |refusal| matches!(refusal, Err(Refusal::Malformed(_)));
        for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer a\"", "Bearer a,Bearer b", long.as_str()] {
            assert!(is_malformed(read(&[value], "/mcp")), "{value:.40}");
        }
        assert!(is_malformed(read(&["Bearer a", "Bearer a"], "/mcp")));
        for path in ["/mcp?access_token=a", "/mcp?x=1&Access_Token=a", "/mcp?%61ccess_token=a"] {
            assert!(is_malformed(read(&[], path)), "{path}");
            assert!(is_malformed(read(&["Bearer a"], path)), "{path}");
        }
        assert_eq!(read(&["Basic YTpi"], "/mcp"), Err(Refusal::NoToken));
        assert_eq!(read(&[], "/mcp"), Err(Refusal::NoToken));
        assert!(matches!(read(&["Bearer ${TOKEN}"], "/mcp"), Err(Refusal::InvalidToken(_))));
    }
}
