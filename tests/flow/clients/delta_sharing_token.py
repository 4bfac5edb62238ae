"""Let the delta-sharing connector get its token as it does for a profile, and use it.

Run by the interpreter of the connector's own environment: it pins what ours excludes.
Arguments: base address, client id, secret. Prints what ``/v1/me`` answered.
"""

import sys

import requests
from delta_sharing._internal_auth import AuthCredentialProviderFactory
from delta_sharing.protocol import DeltaSharingProfile

hub, client_id, secret = sys.argv[1:]
profile = DeltaSharingProfile.from_json(
    {
        "shareCredentialsVersion": 2,
        "type": "oauth_client_credentials",
        "endpoint": f"{hub}/delta-sharing/",
        "tokenEndpoint": f"{hub}/oauth2/token",
        "clientId": client_id,
        "clientSecret": secret,
    }
)
session = requests.Session()
AuthCredentialProviderFactory.create_auth_credential_provider(profile).add_auth_header(session)
print(session.get(f"{hub}/v1/me", timeout=30).text)
