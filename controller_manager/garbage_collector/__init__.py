"""The garbage collector: deletes what its owners leave behind, in the background, in the foreground, or not at all.

`graph` holds who owns whom, `monitors` feeds it from every resource that the server has, `controller` decides and
deletes.
"""
