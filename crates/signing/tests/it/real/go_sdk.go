// Calls several services with the AWS SDK for Go, and prints what the calls return, without random ids.
//
// The SDK of Debian 12 does not read the variables for endpoints yet, so that the program passes them on, as its later
// versions do.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

var results [][]any

// record keeps the result of an operation, or its error code.
func record(operation string, err error, result func() any) {
	if err != nil {
		var refused smithy.APIError
		if !errors.As(err, &refused) {
			panic(err)
		}
		results = append(results, []any{operation, "error: " + refused.ErrorCode()})
		return
	}
	results = append(results, []any{operation, result()})
}

func done() any { return "done" }

func endpoint(service, region string, _ ...any) (aws.Endpoint, error) {
	name := strings.ToUpper(strings.ReplaceAll(service, " ", "_"))
	url, found := os.LookupEnv("AWS_ENDPOINT_URL_" + name)
	if !found {
		url = os.Getenv("AWS_ENDPOINT_URL")
	}
	return aws.Endpoint{URL: url, HostnameImmutable: true, SigningRegion: region}, nil
}

func digest(body io.Reader) any {
	hash := sha256.New()
	if _, err := io.Copy(hash, body); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func objects(ctx context.Context, settings aws.Config) {
	client := s3.NewFromConfig(settings, func(options *s3.Options) { options.UsePathStyle = true })
	bucket, key := aws.String("proxied-name"), aws.String("a b/ü//+%.txt")
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
	record("CreateBucket", err, done)
	_, err = client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: bytes.NewReader([]byte("small")), Metadata: map[string]string{"k": "v"},
	})
	record("PutObject", err, done)
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	record("GetObject", err, func() any { return []any{digest(got.Body), got.Metadata} })
	parts := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	_, err = manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("parts"), Body: bytes.NewReader(parts),
	})
	record("Upload in parts", err, done)
	got, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("parts")})
	record("GetObject of parts", err, func() any { return digest(got.Body) })
	listed, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	record("ListObjectsV2", err, func() any {
		sizes := map[string]int64{}
		for _, item := range listed.Contents {
			sizes[*item.Key] = item.Size
		}
		return sizes
	})
	_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("none")})
	record("HeadObject of nothing", err, done)
}

func items(ctx context.Context, settings aws.Config) {
	client, name := dynamodb.NewFromConfig(settings), aws.String("proxied-name")
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            name,
		AttributeDefinitions: []dynamo.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}},
		KeySchema:            []dynamo.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}},
		BillingMode:          dynamo.BillingModePayPerRequest,
	})
	record("CreateTable", err, done)
	item := map[string]dynamo.AttributeValue{"id": &dynamo.AttributeValueMemberS{Value: "1"}}
	_, err = client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item})
	record("PutItem", err, done)
	scanned, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: name})
	record("Scan", err, func() any { return scanned.Count })
}

func others(ctx context.Context, settings aws.Config) {
	identity, err := sts.NewFromConfig(settings).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	record("GetCallerIdentity", err, func() any { return *identity.Account })
	queues := sqs.NewFromConfig(settings)
	_, err = queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("proxied-name")})
	record("CreateQueue", err, done)
	listed, err := queues.ListQueues(ctx, &sqs.ListQueuesInput{})
	record("ListQueues", err, func() any { return len(listed.QueueUrls) })
	secrets := secretsmanager.NewFromConfig(settings)
	name, value := aws.String("proxied-name"), aws.String("value")
	_, err = secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: value})
	record("CreateSecret", err, done)
	secret, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: name})
	record("GetSecretValue", err, func() any { return *secret.SecretString })
	parameters := ssm.NewFromConfig(settings)
	_, err = parameters.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String("/a/b"), Value: value, Type: ssmtypes.ParameterTypeString,
	})
	record("PutParameter", err, done)
	parameter, err := parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/a/b")})
	record("GetParameter", err, func() any { return *parameter.Parameter.Value })
	functions, err := lambda.NewFromConfig(settings).ListFunctions(ctx, &lambda.ListFunctionsInput{})
	record("ListFunctions", err, func() any { return len(functions.Functions) })
}

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx,
		config.WithEndpointResolverWithOptions(aws.EndpointResolverWithOptionsFunc(endpoint)),
		config.WithRetryMaxAttempts(1))
	if err != nil {
		panic(err)
	}
	objects(ctx, settings)
	items(ctx, settings)
	others(ctx, settings)
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"results": results}); err != nil {
		panic(err)
	}
}
