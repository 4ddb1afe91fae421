//! Prompts, resources, templates and completions of servers, for clients and servers of both protocol eras.

use serde_json::{Value, json};

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::content_server;
use crate::keys::{assert_no_secret_part, secret_of_key};

/// Opens a client of two servers: `one` is legacy and `two` is modern.
async fn open(era: ProtocolEra) -> GatewayClientFixture {
    let servers = [("one", content_server("legacy", "one")), ("two", content_server("modern", "two"))];
    let mut client = GatewayClientFixture::open(era, servers).await;
    client.set("AAAA").await;
    client
}

async fn list(client: &mut GatewayClientFixture, method: &str, field: &str) -> (Vec<Value>, Value) {
    let mut reply = client.request(method, json!({})).await;
    let Some(Value::Array(items)) = reply["result"].get_mut(field).map(Value::take) else {
        panic!("{reply}");
    };
    (items, reply["result"].take())
}

fn values<'a>(items: &'a [Value], field: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn gateway_advertises_what_servers_may_have() {
    for era in ERAS {
        let client = open(era).await;
        let capabilities = &client.handshake_response["result"]["capabilities"];
        assert_eq!(capabilities["prompts"]["listChanged"], true, "{capabilities}");
        assert_eq!(capabilities["resources"]["listChanged"], true, "{capabilities}");
        assert_eq!(capabilities["resources"]["subscribe"], true, "{capabilities}");
        assert!(capabilities["completions"].is_object(), "{capabilities}");
        client.close().await.unwrap();
        let mut client = GatewayClientFixture::open(era, []).await;
        let capabilities = &client.handshake_response["result"]["capabilities"];
        assert!(capabilities.get("prompts").is_none() && capabilities.get("resources").is_none());
        for method in ["prompts/list", "resources/list", "resources/templates/list"] {
            assert_eq!(client.request(method, json!({})).await["error"]["code"], -32601, "{method}");
        }
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn lists_have_the_items_of_all_servers() {
    for era in ERAS {
        let mut client = open(era).await;
        let (prompts, result) = list(&mut client, "prompts/list", "prompts").await;
        let names = ["one__greet0", "one__last", "two__greet0", "two__last"];
        assert_eq!(values(&prompts, "name"), names, "both pages, without the malformed prompt");
        assert_eq!(
            (&prompts[0]["x-prompt"], &prompts[0]["arguments"][0]["x-argument"]),
            (&json!(1), &json!(1))
        );
        if era == ProtocolEra::Modern {
            assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(0)));
        }
        let (resources, _) = list(&mut client, "resources/list", "resources").await;
        let uris = ["one:static", "one:watched", "shared:same", "two:static", "two:watched"];
        assert_eq!(values(&resources, "uri"), uris);
        assert_eq!(resources[2]["name"], "one", "the first server keeps a URI that both list");
        assert_eq!(resources[0]["x-resource"], 1);
        let (templates, _) = list(&mut client, "resources/templates/list", "resourceTemplates").await;
        assert_eq!(values(&templates, "uriTemplate"), ["one:item/{id}", "two:item/{id}"]);
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn get_prompt_passes_everything_but_the_prefix() {
    for era in ERAS {
        let mut client = open(era).await;
        for server in ["one", "two"] {
            let params =
                json!({"name": format!("{server}__greet0"), "arguments": {"who": "x"}, "x-get": [1]});
            let reply = client.request("prompts/get", params).await;
            let sent = &reply["result"]["x-prompt"];
            assert_eq!((&sent["name"], &sent["x-get"]), (&json!("greet0"), &json!([1])), "{reply}");
            assert_eq!(reply["result"]["messages"][0]["role"], "narrator");
            assert_eq!(reply["result"]["_meta"]["vendor/prompt"], 1);
        }
        let unknown = client.request("prompts/get", json!({"name": "one__none"})).await;
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
        let malformed = client.request("prompts/get", json!({"name": 7})).await;
        assert_eq!(malformed["error"]["code"], -32602, "{malformed}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn read_resource_finds_server_and_masks_secrets() {
    for era in ERAS {
        let mut client = open(era).await;
        for uri in ["two:item/7", "one:watched", "two:static", "one:item/7", "shared:same"] {
            let reply = client.request("resources/read", json!({"uri": uri})).await;
            let contents = &reply["result"]["contents"][0];
            assert_eq!(
                (&contents["uri"], &contents["text"], &contents["x-contents"]),
                (&json!(uri), &json!("[redacted]"), &json!([1])),
                "{reply}"
            );
            if era == ProtocolEra::Modern {
                assert_eq!(reply["result"]["cacheScope"], "private");
            }
        }
        let code = if era == ProtocolEra::Modern { -32602 } else { -32002 };
        for uri in ["two:missing", "unknown:uri"] {
            let missing = client.request("resources/read", json!({"uri": uri})).await;
            assert_eq!(missing["error"]["code"], code, "{missing}");
        }
        assert_no_secret_part(&client.received, &secret_of_key("AAAA"));
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn read_resource_without_credentials_is_refused() {
    let mut client =
        GatewayClientFixture::open(ProtocolEra::Legacy, [("one", content_server("legacy", "one"))]).await;
    let refused = client.request("resources/read", json!({"uri": "one:static"})).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("set_aws_credentials_context"), "{message}");
    let prompt = client.request("prompts/get", json!({"name": "one__last"})).await;
    assert!(prompt["result"].is_object(), "a prompt needs no credentials: {prompt}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn complete_maps_its_reference() {
    for era in ERAS {
        let mut client = open(era).await;
        let argument = json!({"name": "who", "value": "a"});
        for (reference, sent) in [
            (
                json!({"type": "ref/prompt", "name": "two__last"}),
                json!({"type": "ref/prompt", "name": "last"}),
            ),
            (
                json!({"type": "ref/resource", "uri": "two:item/{id}"}),
                json!({"type": "ref/resource", "uri": "two:item/{id}"}),
            ),
        ] {
            let params = json!({"ref": reference, "argument": argument});
            let reply = client.request("completion/complete", params).await;
            assert_eq!(reply["result"]["completion"]["values"][0], sent.to_string(), "{reply}");
            assert_eq!(reply["result"]["completion"]["x-completion"], 1);
        }
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn server_without_prefix_keeps_its_names() {
    for era in ERAS {
        let mut plain = content_server("legacy", "one");
        plain.prefix = false;
        let servers = [("one", plain), ("two", content_server("modern", "two"))];
        let mut client = GatewayClientFixture::open(era, servers).await;
        client.set("AAAA").await;
        let names = client.list_tool_names().await;
        for name in ["change", "update", "two__change"] {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }
        assert!(client.call("change", json!({})).await["content"].is_array());
        assert!(client.call("two__change", json!({})).await["content"].is_array());
        let (prompts, _) = list(&mut client, "prompts/list", "prompts").await;
        assert_eq!(values(&prompts, "name"), ["greet1", "last", "two__greet1", "two__last"]);
        let reply = client.request("prompts/get", json!({"name": "last"})).await;
        assert_eq!(reply["result"]["x-prompt"]["name"], "last", "{reply}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn servers_without_prefix_share_no_name() {
    let plain = |scheme| {
        let mut server = content_server("legacy", scheme);
        server.prefix = false;
        server
    };
    let mut client =
        GatewayClientFixture::open(ProtocolEra::Legacy, [("one", plain("one")), ("two", plain("two"))]).await;
    client.set("AAAA").await;
    let names = client.list_tool_names().await;
    let claims: Vec<_> = names.iter().filter(|name| name.contains("change")).collect();
    assert!(claims.len() == 2 && claims.iter().all(|name| *name != "change"), "{names:?}");
    for name in claims {
        assert!(client.call(name, json!({})).await["content"].is_array());
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn server_without_prefix_adds_its_instructions() {
    for era in ERAS {
        let mut plain = content_server("legacy", "one");
        plain.prefix = false;
        let client = GatewayClientFixture::open(era, [("one", plain)]).await;
        let instructions = client.handshake_response["result"]["instructions"].as_str().unwrap();
        assert!(instructions.ends_with("The server `one`: Instructions of one."), "{instructions}");
        client.close().await.unwrap();
    }
}
