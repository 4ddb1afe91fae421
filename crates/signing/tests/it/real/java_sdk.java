// Calls several services with the AWS SDK for Java, and prints what the calls return, without random ids. With the argument
// `objects`, it calls only S3.
//
// The packages of the SDK have a prefix: the archive that has them holds them in a place of its own.

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import smfs.shaded.software.amazon.awssdk.awscore.exception.AwsServiceException;
import smfs.shaded.software.amazon.awssdk.core.SdkBytes;
import smfs.shaded.software.amazon.awssdk.core.interceptor.Context;
import smfs.shaded.software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import smfs.shaded.software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import smfs.shaded.software.amazon.awssdk.core.sync.RequestBody;
import smfs.shaded.software.amazon.awssdk.http.SdkHttpClient;
import smfs.shaded.software.amazon.awssdk.http.apache.ApacheHttpClient;
import smfs.shaded.software.amazon.awssdk.http.apache5.Apache5HttpClient;
import smfs.shaded.software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.AttributeDefinition;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.BillingMode;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.KeySchemaElement;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.KeyType;
import smfs.shaded.software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import smfs.shaded.software.amazon.awssdk.services.glue.GlueClient;
import smfs.shaded.software.amazon.awssdk.services.kms.KmsClient;
import smfs.shaded.software.amazon.awssdk.services.s3.S3Client;
import smfs.shaded.software.amazon.awssdk.services.s3.model.CompletedPart;
import smfs.shaded.software.amazon.awssdk.services.sagemaker.SageMakerClient;
import smfs.shaded.software.amazon.awssdk.services.sts.StsClient;

class Operations {
    static final String NAME = "proxied-name";
    static final List<List<Object>> results = new ArrayList<>();
    static final TreeSet<String> payloads = new TreeSet<>();

    /** Keeps how the bodies of S3 are signed. */
    static class RecordPayload implements ExecutionInterceptor {
        @Override
        public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
            var hash = context.httpRequest().firstMatchingHeader("x-amz-content-sha256").orElse("none");
            payloads.add(hash.length() == 64 ? "hash" : hash);
        }
    }

    static void call(String operation, Callable<Object> request) throws Exception {
        Object result;
        try {
            result = request.call();
        } catch (AwsServiceException error) {
            result = "error: " + error.awsErrorDetails().errorCode();
        }
        results.add(List.of(operation, result));
    }

    static String digest(byte[] body) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
    }

    static byte[] body(int length) {
        var body = new byte[length];
        for (int i = 0; i < length; i++) {
            body[i] = (byte) (i * 31 + i / 257);
        }
        return body;
    }

    /** The operations of S3 with one of the SDK's clients for HTTP. */
    static void objects(String client, SdkHttpClient http) throws Exception {
        var bucket = NAME + "-" + client;
        var settings = S3Client.builder().httpClient(http).forcePathStyle(true);
        try (var s3 = settings.overrideConfiguration(o -> o.addExecutionInterceptor(new RecordPayload())).build()) {
            var key = "a b/ü//+%.txt";
            call("CreateBucket", () -> s3.createBucket(r -> r.bucket(bucket)).sdkHttpResponse().statusCode());
            call("PutObject", () -> s3.putObject(
                    r -> r.bucket(bucket).key(key).metadata(Map.of("k", "v")), RequestBody.fromString("small")).eTag());
            call("GetObject", () -> {
                var object = s3.getObjectAsBytes(r -> r.bucket(bucket).key(key));
                return List.of(digest(object.asByteArray()), object.response().metadata());
            });
            call("PutObject of chunks", () -> s3.putObject(
                    r -> r.bucket(bucket).key("chunks"), RequestBody.fromBytes(body(1_000_000))).eTag());
            call("GetObject of chunks", () -> digest(
                    s3.getObjectAsBytes(r -> r.bucket(bucket).key("chunks")).asByteArray()));
            call("GetObject of a range", () -> digest(
                    s3.getObjectAsBytes(r -> r.bucket(bucket).key("chunks").range("bytes=70000-70009")).asByteArray()));
            call("Upload in parts", () -> {
                var upload = s3.createMultipartUpload(r -> r.bucket(bucket).key("parts")).uploadId();
                var parts = new ArrayList<CompletedPart>();
                for (int number = 1; number <= 2; number++) {
                    int part = number;
                    var tag = s3.uploadPart(r -> r.bucket(bucket).key("parts").uploadId(upload).partNumber(part),
                            RequestBody.fromBytes(body(5 * 1024 * 1024 + part))).eTag();
                    parts.add(CompletedPart.builder().partNumber(part).eTag(tag).build());
                }
                return s3.completeMultipartUpload(r -> r.bucket(bucket).key("parts").uploadId(upload)
                        .multipartUpload(m -> m.parts(parts))).eTag();
            });
            call("CopyObject", () -> s3.copyObject(r -> r.sourceBucket(bucket).sourceKey("parts")
                    .destinationBucket(bucket).destinationKey("copy")).copyObjectResult().eTag());
            call("ListObjectsV2", () -> s3.listObjectsV2(r -> r.bucket(bucket)).contents().stream()
                    .map(object -> object.key() + " " + object.size()).collect(Collectors.toList()));
            call("DeleteObjects", () -> s3.deleteObjects(r -> r.bucket(bucket)
                    .delete(d -> d.objects(o -> o.key("copy")))).deleted().size());
            call("HeadObject of nothing", () -> s3.headObject(r -> r.bucket(bucket).key("none")).eTag());
        }
    }

    static void items(SdkHttpClient http) throws Exception {
        try (var dynamo = DynamoDbClient.builder().httpClient(http).build()) {
            call("CreateTable", () -> dynamo.createTable(r -> r.tableName(NAME)
                    .attributeDefinitions(AttributeDefinition.builder()
                            .attributeName("id").attributeType(ScalarAttributeType.S).build())
                    .keySchema(KeySchemaElement.builder().attributeName("id").keyType(KeyType.HASH).build())
                    .billingMode(BillingMode.PAY_PER_REQUEST)).tableDescription().tableName());
            var item = Map.of("id", AttributeValue.fromS("1"));
            call("PutItem", () -> dynamo.putItem(r -> r.tableName(NAME).item(item)).sdkHttpResponse().statusCode());
            call("GetItem", () -> dynamo.getItem(r -> r.tableName(NAME).key(item)).item().get("id").s());
            call("Scan", () -> dynamo.scan(r -> r.tableName(NAME)).count());
            call("GetItem of no table", () -> dynamo.getItem(r -> r.tableName("none").key(item)).item().size());
        }
    }

    static void others(SdkHttpClient http) throws Exception {
        try (var sts = StsClient.builder().httpClient(http).build();
                var kms = KmsClient.builder().httpClient(http).build();
                var glue = GlueClient.builder().httpClient(http).build();
                var sagemaker = SageMakerClient.builder().httpClient(http).build()) {
            call("GetCallerIdentity", () -> sts.getCallerIdentity().account());
            call("Encrypt", () -> {
                var key = kms.createKey().keyMetadata().keyId();
                var sealed = kms.encrypt(r -> r.keyId(key).plaintext(SdkBytes.fromUtf8String("text"))).ciphertextBlob();
                return kms.decrypt(r -> r.ciphertextBlob(sealed)).plaintext().asUtf8String();
            });
            call("CreateDatabase", () -> glue.createDatabase(r -> r.databaseInput(d -> d.name(NAME)))
                    .sdkHttpResponse().statusCode());
            call("GetDatabases", () -> glue.getDatabases(r -> {}).databaseList().size());
            call("ListEndpoints", () -> sagemaker.listEndpoints(r -> {}).endpoints().size());
        }
    }

    static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            return new TreeMap<>(map).entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof Iterable<?> list) {
            var items = new ArrayList<String>();
            list.forEach(item -> items.add(json(item)));
            return "[" + String.join(",", items) + "]";
        }
        if (value instanceof Number) {
            return value.toString();
        }
        return '"' + value.toString().replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    public static void main(String[] arguments) throws Exception {
        var apache = ApacheHttpClient.builder().build();
        objects("apache", apache);
        objects("url-connection", UrlConnectionHttpClient.builder().build());
        objects("apache5", Apache5HttpClient.builder().build());
        if (!List.of(arguments).contains("objects")) {
            items(apache);
            others(apache);
        }
        var printed = json(Map.of("results", results, "payloads", payloads));
        System.out.write(printed.getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }
}
